/* SEC-14: every function of the header with NULL, with numbers that are none, with text that is none, and with objects
 * in every state: an error or a result, never a crash. The calls themselves are made by prototypes.py from the header.
 * Arguments: CA, chain, key. Run with /dev/null as standard input. Prints how often it called each. */
#include "support.h"

#include <limits.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const int ints[] = {-1, 0, 1, 2, 3, 4, 8, 9999, INT_MAX, INT_MIN};
static const bool bools[] = {false, true};
static const size_t sizes[] = {0, 1, 9999, SIZE_MAX};
static const uint8_t octets[] = {0, 1, 3, 255};
static const uint32_t words[] = {0, 1, UINT32_MAX};
static const uint64_t longs[] = {0, 1000, UINT64_MAX};
static char endless[70000];
static const char *const texts[] = {
    NULL, "", "x", "localhost", "no name\r\n", "\xff\xfe", "192.0.2.1", "3 1 1 00", "/nonexistent", "sha256:00", endless,
};
static const char sts_text[] = "version: STSv1\nmode: enforce\nmx: localhost\nmax_age: 86400\n";
static char text_32[33] = "0123456789abcdef0123456789abcdef";
/* A length that no memory can have is refused before the pointer is looked at. */
static const struct {
    const void *at;
    size_t len;
} spans[] = {
    {NULL, 0}, {NULL, 1}, {NULL, SIZE_MAX}, {text_32, 0}, {text_32, 32}, {text_32, SIZE_MAX},
    {endless, sizeof endless - 1}, {sts_text, sizeof sts_text - 1}, {"554 no\r\n", 8}, {"\xff\0\xff", 3},
};
/* Keys of 32 octets each, by their number; so many of them that their length is nought again. */
static const struct {
    const void *at;
    size_t len;
} keys[] = {{NULL, 0}, {NULL, 1}, {NULL, SIZE_MAX}, {endless, 0}, {endless, 1}, {endless, 3},
            {endless, SIZE_MAX}, {endless, SIZE_MAX / 32 + 1}};
static char room[4096];
static const struct {
    void *at;
    size_t len;
} rooms[] = {{NULL, 0}, {NULL, 1}, {NULL, SIZE_MAX}, {room, 0}, {room, 1}, {room, sizeof room}, {room, SIZE_MAX}};
static const char *const record[] = {"v=STSv1; id=1", NULL, "v=STSv1; id=2"};
static const struct {
    const char *const *at;
    size_t len;
} lists[] = {{NULL, 0}, {NULL, 1}, {NULL, SIZE_MAX}, {record, 0}, {record, 1}, {record, 3}, {record, SIZE_MAX}};
/* Where no error belongs to a result. */
static const struct smtptls_error *const no_error = (const void *)text_32;

static long calls;

#include "states.h"

#define CHECK_CALL(what)                                                       \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s: %s, result %ld\n", name, #what, (long)result); \
            failed = 1;                                                        \
        }                                                                      \
    } while (0)

/* valgrind sees a read of what is not there. */
static volatile unsigned seen;

static void touch(const void *at, size_t len)
{
    size_t n;

    for (n = 0; n < len; n++)
        seen += ((const uint8_t *)at)[n];
}

static void touch_text(const char *text)
{
    if (text)
        seen += (unsigned)strlen(text);
}

/* What a number means: a result, or a code that has a name, and an error that has the same code. */
static void check_count(const char *name, bool null, ptrdiff_t result, const struct smtptls_error *error)
{
    CHECK_CALL(!null || result == SMTPTLS_ERR_ARGUMENT || result == 0 || result == -1);
    CHECK_CALL(result != SMTPTLS_ERR_INTERNAL);
    CHECK_CALL(result >= 0 || strcmp(smtptls_code_name((int)result), "SMTPTLS_ERR_UNKNOWN") != 0);
    if (!null && error != no_error)
        CHECK_CALL(error != NULL && smtptls_error_code(error) == result && *smtptls_error_message(error));
}

static void check_int(const char *name, bool null, int result, const struct smtptls_error *error)
{
    check_count(name, null, result, error);
}

static void check_bool(const char *name, bool null, bool result)
{
    CHECK_CALL(!null || !result);
}

static void check_size(const char *name, bool null, size_t result)
{
    CHECK_CALL(!null || result == 0);
}

static void check_long(const char *name, bool null, uint64_t result)
{
    CHECK_CALL(!null || result == 0);
}

static void check_time(const char *name, bool null, int64_t result)
{
    CHECK_CALL(!null || result == 0 || result == -1);
}

static void check_object(const char *name, bool null, const void *object)
{
    const int result = object != NULL;

    CHECK_CALL(!null || !result);
}

static void check_text(const char *name, bool null, const char *text)
{
    const int result = text != NULL;

    /* The header promises these two in all cases. */
    if (strcmp(name, "smtptls_error_message") == 0 || strcmp(name, "smtptls_code_name") == 0)
        CHECK_CALL(result);
    else
        CHECK_CALL(!null || !result);
    touch_text(text);
}

static void check_octets(const char *name, bool null, const uint8_t *octets)
{
    const int result = octets != NULL;

    CHECK_CALL(!null || !result);
    touch(octets, result ? 1 : 0);
}

#include "calls.h"

int main(int argc, char **argv)
{
    const int before = open_descriptors();
    size_t n;

    MUST(argc == 4);
    files = argv;
    memset(endless, 'a', sizeof endless - 1);
    keep();
    for (n = 0; n < COUNT(functions); n++) {
        const long so_far = calls;
        current = functions[n].name;
        functions[n].call();
        printf("%s %ld\n", functions[n].name, calls - so_far);
    }
    for (n = 0; n < session_states; n++)
        free_session(kept[n]);
    free_config(kept_config);
    free_policy(kept_policy);
    free_sts(kept_sts);
    free_own_info(kept_info);
    CHECK(open_descriptors() == before);
    return failed;
}
