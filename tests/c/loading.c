/* A plugin that uses the library comes and goes. The library itself stays (-z nodelete): it cannot be unloaded, since
 * Rust's runtime keeps things for each thread. Arguments: the library, how often. */
#include "support.h"

#include <dlfcn.h>

/* What the resident set may grow by between a tenth and the end, in KiB. */
#define GROWTH 256

struct config_new {
    struct smtptls_config *(*call)(void);
};

struct config_call {
    int (*call)(struct smtptls_config *);
};

struct config_free {
    void (*call)(struct smtptls_config *);
};

/* ISO C has no way from an object pointer to one to a function; POSIX has this one (dlsym(3)). */
static void find(void *library, const char *name, void *pointer)
{
    void *symbol = dlsym(library, name);

    MUST(symbol != NULL);
    memcpy(pointer, &symbol, sizeof symbol);
}

int main(int argc, char **argv)
{
    const int before = open_descriptors();
    const long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    long n, early = 0;
    void *first = NULL;

    MUST(count > 10);
    for (n = 0; n < count; n++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        struct config_new make;
        struct config_call freeze;
        struct config_free end;
        struct smtptls_config *config;

        MUST(library != NULL);
        find(library, "smtptls_config_new", &make);
        find(library, "smtptls_config_freeze", &freeze);
        find(library, "smtptls_config_free", &end);
        config = make.call();
        CHECK(freeze.call(config) == SMTPTLS_OK);
        end.call(config);
        dlclose(library);
        if (n == 0)
            first = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD);
        CHECK(first != NULL); /* It is still there. */
        if (n == count / 10)
            early = resident_kib();
    }
    CHECK(count < 100 || resident_kib() - early <= GROWTH);
    dlclose(first);
    CHECK(open_descriptors() == before);
    return failed;
}
