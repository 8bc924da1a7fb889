# What every server needs: its jars, a life of its own with a pid file, and an end.
# Sourced by ./server. $here is this folder, $dir the server's private folder.

# The folder with the jars of tests/servers/NAME/pom.xml, fetched once into a cache outside the tree.
jars() {
    local cache=${WEIR_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-test-servers} fetched=0
    local at=$cache/$1
    mkdir -p "$cache"
    (
        flock 8
        cmp -s "$here/$1/pom.xml" "$at/pom.xml" && [ -d "$at/lib" ] && exit 0
        rm -rf "$at" && mkdir -p "$at"
        echo "fetching the jars of $1" >&2
        mvn -q -B -f "$here/$1/pom.xml" dependency:copy-dependencies \
            -DoutputDirectory="$at/lib.new" -DincludeScope=runtime >&2
        mv "$at/lib.new" "$at/lib"
        cp "$here/$1/pom.xml" "$at/"
    ) 8>"$cache/lock" || return
    echo "$at"
}

# Compiles NAME/Main.java against its jars, once for each version of the source.
compiled() { # compiled NAME CLASSPATH
    local at
    at=$(jars "$1")
    (
        flock 8
        cmp -s "$here/$1/Main.java" "$at/classes/Main.java" && exit 0
        rm -rf "$at/classes" && mkdir -p "$at/classes"
        javac -cp "$2" -d "$at/classes" "$here/$1/Main.java"
        cp "$here/$1/Main.java" "$at/classes/"
    ) 8>"$at/lock"
}

# The server whose folder is $dir is alive: its pid runs, and runs what we started. A process has no
# command line for a moment while it executes a program, and while it ends.
alive() {
    [ -s "$dir/pid" ] && pid=$(cat "$dir/pid") || return 1
    case $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") in
    *"$dir"*) return 0 ;;
    '') grep -q '^State:.[^ZX]' "/proc/$pid/status" 2>/dev/null ;;
    *) return 1 ;;
    esac
} 2>/dev/null

# Starts COMMAND in its own session, with its output in $dir/log. When WEIR_SERVERS_OWNER names a
# process, a watchman ends the server after that process is gone, however it went.
launch() {
    setsid nohup "$@" >>"$dir/log" 2>&1 </dev/null 9>&- &
    echo $! >"$dir/pid"
    [ -n "${WEIR_SERVERS_OWNER:-}" ] || return 0
    setsid nohup "$here/server" watch "$dir" "$WEIR_SERVERS_OWNER" >/dev/null 2>&1 </dev/null 9>&- &
}

# Waits until READY (a command) succeeds; the server's last words if it ends first.
await() {
    local end=$((SECONDS + ${WEIR_SERVERS_WAIT:-90}))
    until "$@" >/dev/null 2>&1; do
        alive || { echo "ended during its start:" >&2; tail -20 "$dir/log" >&2; rm -f "$dir/pid"; return 1; }
        [ $SECONDS -lt $end ] || { echo "not ready in time; see $dir/log" >&2; stop; return 1; }
        sleep 0.1
    done
}

# Ends the server of $dir: TERM, and KILL after 30 s (at once with -9).
stop() {
    alive || { rm -f "$dir/pid"; return 0; }
    kill ${1:+"$1"} "$pid" 2>/dev/null || true
    for ((i = 0; i < 300; i++)); do
        alive || break
        sleep 0.1
    done
    ! alive || kill -9 "$pid" 2>/dev/null || true
    rm -f "$dir/pid"
}

log4j_to_console() {
    cat >"$dir/log4j.properties" <<'P'
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
P
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
