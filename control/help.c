/*
 * help.c: see help.h.
 *
 * A page says what the command does, how it is called, what each option is for, and shows it being
 * used. What was asked for is a result and goes to stdout; a usage error prints one line to stderr
 * and points here, so that the error is not lost above a screen of text.
 */
#include "control/help.h"

static const struct {
    const char *line, *page;
} texts[COMMANDS] = {
    [COMMAND_RUN] = {
    "run a config: read the change log, write the documents",
    "weir run CONFIG [--until-end [--wait DURATION]] [--log-format text|json] [--log-level LEVEL]\n"
    "\n"
    "Runs the tasks of a config in the foreground until SIGTERM or SIGINT: then it stops reading,\n"
    "writes what it has read, commits and exits 0. A second signal stops at once; what was not\n"
    "committed is read again next time, and the documents come out the same.\n"
    "\n"
    "  --until-end          end when every source has reached the end that it had at start\n"
    "                       (files: the end of the file). The last line on stdout is one\n"
    "                       JSON object with events, changes, documents, dead letters,\n"
    "                       seconds and more\n"
    "  --wait DURATION      with --until-end: how long a server may be away before weir gives up\n"
    "                       with exit code 69 (default 60s). Without --until-end: for ever\n"
    "  --log-format FORMAT  text for people (default), json for machines: one object a line\n"
    "  --log-level LEVEL    debug, info (default), notice, warn, error or alert\n"
    "\n"
    "Examples:\n"
    "  weir run config/samples/quickstart.yaml --until-end\n"
    "  kcat -C -J -t trade -e | weir run from-stdin.yaml --until-end     (paths: [\"-\"])\n"
    "  weir run /etc/weir/weir.yaml --log-format json\n"
    "\n"
    "Exit codes: 0 done, 64 wrong usage, 69 a server cannot be reached, 70 a fault of weir's own,\n"
    "74 input or output failed, 78 the config is wrong.\n",
    },
    [COMMAND_CHECK] = {
    "say what is wrong with a config, without running it",
    "weir check CONFIG [--print | --live [--json]] [--log-format text|json] [--log-level LEVEL]\n"
    "\n"
    "Reads a config and reports every error in it, each with its line, its column and what is\n"
    "allowed there. Starts nothing, and asks no server without --live.\n"
    "\n"
    "  --print              show the config with every default filled in (secrets as ***)\n"
    "  --live               ask the real servers whether they are as weir needs them: topics,\n"
    "                       indexes, tables, and the settings that a guarantee rests on. One line\n"
    "                       a finding: ok, warn, error or away; where; what; which guarantee of\n"
    "                       docs/ORDERING.md it endangers; what to do. Creates and changes\n"
    "                       nothing, joins no group\n"
    "  --json               with --live: one JSON object with all findings\n"
    "\n"
    "Examples:\n"
    "  weir check /etc/weir/weir.yaml\n"
    "  weir check weir.yaml --print | less\n"
    "  weir check weir.yaml --live --json | jq '.findings[] | select(.level != \"ok\")'\n"
    "\n"
    "Exit codes: 0 the config is good (warnings included); 78 it is not, or a server is not as\n"
    "weir needs it; 69 a server could not be asked.\n"
    "\n"
    "Every key is explained in docs/CONFIGURATION.md.\n",
    },
    [COMMAND_STATUS] = {
    "what a running node does: tasks, sinks, counts",
    "weir status [--task TASK] [--socket PATH] [--json]\n"
    "\n"
    "Asks a running node how it is: for each task its state, what it has read, how far it is\n"
    "behind, how many documents it knows, and what its sinks took.\n"
    "\n"
    "  --task TASK          one task, with its tables\n"
    "  --socket PATH        the node's admin socket (default: $WEIR_SOCKET, else\n"
    "                       /run/weir/admin.sock); it is node.admin in the node's config\n"
    "  --json               the whole answer as JSON\n"
    "\n"
    "Examples:\n"
    "  weir status\n"
    "  weir status --json | jq '.tasks[] | {name, state, lag}'\n"
    "\n"
    "Exit code 69: no node answers on that socket.\n",
    },
    [COMMAND_GET] = {
    "one document as the node knows it, with its rows and their places in time",
    "weir get KEY [--task TASK] [--socket PATH] [--json]\n"
    "\n"
    "Shows a document as the running node holds it: the document itself on stdout, so that it can\n"
    "be piped on; and on stderr its version, its rows with the sequence number of their last\n"
    "change, and which sink holds which version.\n"
    "\n"
    "  --task TASK          look in this task only (default: in all of them)\n"
    "  --socket PATH        the node's admin socket (default: $WEIR_SOCKET, else\n"
    "                       /run/weir/admin.sock)\n"
    "  --json               everything in one JSON object on stdout\n"
    "\n"
    "Examples:\n"
    "  weir get 2026112100001\n"
    "  weir get 2026112100001 2>/dev/null | jq .items\n"
    "  weir get -- -17                          (a key that begins with a dash)\n"
    "\n"
    "The node's memory holds what changed since it started: a document that did not change is\n"
    "only in the sinks, ask them. Exit code 1: the node does not know that key; 69: no node\n"
    "answers.\n",
    },
    [COMMAND_LAG] = {
    "how far each partition is behind its log",
    "weir lag [--task TASK] [--socket PATH] [--json]\n"
    "\n"
    "For each partition that the node reads: how far it was read, up to where everything is\n"
    "durable in every sink, what was committed, and the log's end. The lag is the number of\n"
    "records between what is durable and the end; `?` means that the end is not known (files).\n"
    "\n"
    "  --task TASK          one task\n"
    "  --socket PATH        the node's admin socket (default: $WEIR_SOCKET, else\n"
    "                       /run/weir/admin.sock)\n"
    "  --json               {\"tasks\": [{\"task\", \"lag\", \"partitions\": [...]}]}\n"
    "\n"
    "Example:\n"
    "  weir lag --json | jq '[.tasks[].lag] | add'\n"
    "\n"
    "Exit code 69: no node answers on that socket.\n",
    },
    [COMMAND_VERSION] = {
    "print the version",
    "weir version\n"
    "\n"
    "Prints weir's version.\n",
    },
    [COMMAND_HELP] = {
    "this text, or a command's page",
    "weir help [COMMAND]\n"
    "\n"
    "Lists the commands, or explains one with examples. `weir COMMAND --help` does the same.\n",
    },
};

void help_print(FILE *out)
{
    fputs("weir keeps search and detail stores in step with a database, from its change log.\n"
          "\n"
          "Usage: weir COMMAND ...\n"
          "\n",
          out);
    for (unsigned i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", command_name((enum command)i), texts[i].line);
    fputs("\n"
          "Start here:\n"
          "  weir check config/samples/quickstart.yaml\n"
          "  weir run config/samples/quickstart.yaml --until-end\n"
          "\n"
          "`weir help COMMAND` explains a command. Results go to stdout, messages to stderr.\n"
          "Exit codes: 0 done, 1 not found, 64 wrong usage, 69 a server cannot be reached, 70 a\n"
          "fault of weir's own, 74 input or output failed, 78 the config is wrong.\n",
          out);
}

void help_print_command(FILE *out, enum command command)
{
    fputs(texts[command].page, out);
}

void help_print_version(FILE *out)
{
    fputs("weir " WEIR_VERSION "\n", out);
}
