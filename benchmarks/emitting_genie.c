/* A Genie library that does nothing but emit tokens, as fast as C can call: what is left is the path of a token
   through our binding, the pipe and the event loop. `EMIT` tokens come for each query. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void (*text_fn)(const char *, int32_t, const void *);
typedef void (*alloc_fn)(size_t, const char **);
typedef struct { int unused; } *handle;

static const char *const words[] = {"The", " quick", " brown", " fox", " jumps", " over", " it", ".\n"};
static volatile int stop;

uint32_t Genie_getApiMajorVersion(void) { return 1; }
uint32_t Genie_getApiMinorVersion(void) { return 21; }
uint32_t Genie_getApiPatchVersion(void) { return 0; }

static int32_t make(handle *out) { *out = (handle)(uintptr_t)0x1234; return 0; }

int32_t GenieLog_create(handle c, void *f, int32_t l, handle *out) { (void)c; (void)f; (void)l; return make(out); }
int32_t GenieLog_free(handle h) { (void)h; return 0; }
int32_t GenieProfile_create(handle c, handle *out) { (void)c; return make(out); }
int32_t GenieProfile_free(handle h) { (void)h; return 0; }
int32_t GenieProfile_getJsonData(handle h, alloc_fn allocate, const char **out) {
    static const char text[] = "{\"components\": null}";
    (void)h;
    allocate(sizeof text, out);
    memcpy((char *)*out, text, sizeof text);
    return 0;
}
int32_t GenieDialogConfig_createFromJson(const char *s, handle *out) { (void)s; return make(out); }
int32_t GenieDialogConfig_bindProfiler(handle h, handle p) { (void)h; (void)p; return 0; }
int32_t GenieDialogConfig_bindLogger(handle h, handle l) { (void)h; (void)l; return 0; }
int32_t GenieDialogConfig_free(handle h) { (void)h; return 0; }
int32_t GenieSamplerConfig_createFromJson(const char *s, handle *out) { (void)s; return make(out); }
int32_t GenieSamplerConfig_free(handle h) { (void)h; return 0; }
int32_t GenieSampler_applyConfig(handle h, handle c) { (void)h; (void)c; return 0; }
int32_t GenieDialog_create(handle c, handle *out) { (void)c; return make(out); }
int32_t GenieDialog_free(handle h) { (void)h; return 0; }
int32_t GenieDialog_getSampler(handle h, handle *out) { (void)h; return make(out); }
int32_t GenieDialog_getTokenizer(handle h, handle *out) { (void)h; return make(out); }
int32_t GenieDialog_setStopSequence(handle h, const char *s) { (void)h; (void)s; return 0; }
int32_t GenieDialog_setMaxNumTokens(handle h, uint32_t n) { (void)h; (void)n; return 0; }
int32_t GenieDialog_getPerformancePolicy(handle h, int32_t *out) { (void)h; *out = 10; return 0; }
int32_t GenieDialog_setPerformancePolicy(handle h, int32_t p) { (void)h; (void)p; return 0; }
int32_t GenieDialog_reset(handle h) { (void)h; return 0; }
int32_t GenieDialog_signal(handle h, int32_t action) { (void)h; (void)action; stop = 1; return 0; }
int32_t GenieDialog_getValue(handle h, int32_t key, alloc_fn a, int32_t *type, uint64_t *value) {
    (void)h; (void)key; (void)a;
    *type = 12;
    *value = 0;
    return 0;
}
int32_t GenieTokenizer_encode(handle h, const char *s, alloc_fn allocate, const int32_t **ids, uint32_t *count) {
    const char *memory = NULL;
    (void)h; (void)s;
    allocate(sizeof(int32_t), &memory);
    memset((char *)memory, 0, sizeof(int32_t));
    *ids = (const int32_t *)memory;
    *count = 1;
    return 0;
}
int32_t GenieDialog_query(handle h, const char *q, int32_t code, text_fn call, const void *user) {
    const char *wanted = getenv("EMIT");
    long tokens = wanted ? atol(wanted) : 1000;
    (void)h; (void)q; (void)code;
    stop = 0;
    for (long n = 0; n < tokens && !stop; n++)
        call(words[n % 8], n ? 2 : 1, user);
    call("", 3, user);
    return stop ? 1 : 0;
}
