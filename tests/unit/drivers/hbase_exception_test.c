/* hbase_exception_test.c: what each of HBase's exceptions asks of us. */
#include "../unit.h"

#include "drivers/hbase/exception.h"

#define HADOOP "org.apache.hadoop.hbase."

/* Names and messages as servers of 2.4 to 2.6 send them. */
static void exceptions_are_told_apart(void **state)
{
    static const struct {
        const char *class, *text;
        enum exception exception;
    } cases[] = {
        { HADOOP "NotServingRegionException", "t,,1.x. is not online on h,1,1",
          EXCEPTION_RELOCATE },
        { HADOOP "exceptions.RegionMovedException", "Region moved to: hostname=h port=1",
          EXCEPTION_RELOCATE },
        { HADOOP "exceptions.RegionOpeningException", "", EXCEPTION_RELOCATE },
        { HADOOP "regionserver.RegionServerStoppedException", "", EXCEPTION_RELOCATE },
        { HADOOP "regionserver.RegionServerAbortedException", "", EXCEPTION_RELOCATE },
        { HADOOP "ipc.ServerNotRunningYetException", "Server h is not running yet",
          EXCEPTION_RELOCATE },
        { HADOOP "regionserver.WrongRegionException", "", EXCEPTION_RELOCATE },
        { HADOOP "exceptions.FailedSanityCheckException",
          "Requested row out of range for doMiniBatchMutate on HRegion t,,1.x., startKey='', "
          "row='r'",
          EXCEPTION_RELOCATE },
        { HADOOP "exceptions.FailedSanityCheckException", "Timestamp for KV is out of range",
          EXCEPTION_RETRY },
        { HADOOP "RegionTooBusyException", "Over memstore limit=512.0K", EXCEPTION_BUSY },
        { HADOOP "CallQueueTooBigException", "Call queue is full", EXCEPTION_BUSY },
        { HADOOP "CallDroppedException", "", EXCEPTION_BUSY },
        { HADOOP "ipc.CallTimeoutException", "", EXCEPTION_BUSY },
        { HADOOP "quotas.RpcThrottlingException", "number of requests exceeded", EXCEPTION_BUSY },
        { HADOOP "MultiActionResultTooLarge", "Max size exceeded", EXCEPTION_BUSY },
        { HADOOP "exceptions.RequestTooBigException", "RPC data length of 300 received",
          EXCEPTION_TOO_BIG },
        { HADOOP "DoNotRetryIOException",
          HADOOP "DoNotRetryIOException: Cell with size 20 exceeds limit of 10 bytes\n\tat a.b(C)",
          EXCEPTION_DEAD },
        { "java.lang.IllegalArgumentException", "Row length 40000 is > 32767", EXCEPTION_DEAD },
        { HADOOP "DoNotRetryIOException", "t,,1.x. is read only", EXCEPTION_RETRY },
        { HADOOP "DoNotRetryIOException", HADOOP "DoNotRetryIOException\n\tat a.b(C.java:1)",
          EXCEPTION_RETRY },
        { HADOOP "security.AccessDeniedException", "Insufficient permissions", EXCEPTION_RETRY },
        { HADOOP "regionserver.NoSuchColumnFamilyException", "Column family d does not exist",
          EXCEPTION_RETRY },
        { HADOOP "quotas.SpaceLimitingException", "NO_WRITES", EXCEPTION_RETRY },
        { "java.io.IOException", "disk full", EXCEPTION_RETRY },
        { "com.example.NewException", "", EXCEPTION_RETRY },
        { "", "", EXCEPTION_RETRY },
        { "RegionTooBusyException", "", EXCEPTION_BUSY },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (exception_judge(slice_of(cases[i].class), slice_of(cases[i].text)) !=
            cases[i].exception)
            fail_msg("%s: %s", cases[i].class, cases[i].text);
}

/* People read one line: no package, no stack trace, no class twice; and never more than fits. */
static void line_is_for_people(void **state)
{
    static const struct {
        const char *class, *text, *line;
    } cases[] = {
        { "a.b.C", "a.b.C: too large\n\tat x.y(Z)\n", "C: too large" },
        { "a.b.C", "too large", "C: too large" },
        { "a.b.C", "a.b.C\n\tat x", "C" },
        { "a.b.C", "", "C" },
        { "", "", "an exception without a name" },
        { "", "words", "an exception without a name: words" },
    };
    char bytes[EXCEPTION_LINE_BYTES_MAX], text[5001], class[3000];

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf line = { .data = bytes, .bound = sizeof(bytes) };
        exception_line(slice_of(cases[i].class), slice_of(cases[i].text), &line);
        assert_int_equal(line.len, strlen(cases[i].line));
        assert_memory_equal(line.data, cases[i].line, line.len);
    }
    for (unsigned shift = 0; shift < 3; shift++) {
        struct buf line = { .data = bytes, .bound = sizeof(bytes) };
        memset(class, 'C', sizeof(class));
        for (unsigned i = 0; i + 3 <= sizeof(text); i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        exception_line((struct slice){ class, sizeof(class) },
                       (struct slice){ text, sizeof(text) - shift }, &line);
        assert_false(line.overflow);
        assert_int_equal((unsigned char)line.data[line.len - 1], 0xac); /* no character is cut */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exceptions_are_told_apart),
        cmocka_unit_test(line_is_for_people),
    };

    return UNIT_RUN(tests);
}
