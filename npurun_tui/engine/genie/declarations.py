"""The C declarations of Genie's API, 1.11 to 1.21, as cffi reads them.

Facts of a foreign interface: names, parameter types and values as the library exports and takes them, written down for
this binding. One set serves every version, because a symbol is looked up only when it is touched; `SINCE` says which
version brought it. Handles are opaque and are not addresses: the library looks each one up.
"""

from __future__ import annotations

from typing import Final

HANDLES: Final = (
    "LogConfig",
    "Log",
    "ProfileConfig",
    "Profile",
    "SamplerConfig",
    "Sampler",
    "Tokenizer",
    "EngineConfig",
    "Engine",
    "DialogConfig",
    "Dialog",
    "EmbeddingConfig",
    "Embedding",
    "NodeConfig",
    "Node",
    "PipelineConfig",
    "Pipeline",
    "DlcConfig",
    "Dlc",
    "AccuracyConfig",
    "Accuracy",
    "PerformanceConfig",
    "Performance",
)
"""What a handle can be of. `LogConfig` has no function that makes one: `GenieLog_create` takes NULL for it."""

TYPES: Final = (
    "".join(f"typedef struct Genie{name}_s *{name};\n" for name in HANDLES)
    + """
typedef union {
    int32_t int32Value; uint32_t uint32Value; uint64_t uint64Value; float floatValue; const char *stringValue;
} Value;
typedef void (*AllocFn)(size_t size, const char **buffer);
typedef void (*LogFn)(Log log, const char *format, int32_t level, uint64_t nanoseconds, void *va_list_arguments);
typedef void (*SampleFn)(uint32_t logit_bytes, const void *logits, uint32_t count, int32_t *tokens);
typedef void (*SampleDataFn)(uint32_t logit_bytes, const void *logits, uint32_t count, int32_t *tokens, const void
*user); typedef void (*SampledFn)(uint32_t count, const int32_t *tokens, const void *user); typedef void
(*TextFn)(const char *text, int32_t sentence_code, const void *user); typedef void (*TokensFn)(const uint32_t *tokens,
uint32_t count, int32_t sentence_code, const void *user); typedef void (*EmbedTokenFn)(int32_t token, void *embedding,
uint32_t bytes, const void *user); typedef void (*EmbeddingFn)(const uint32_t *dimensions, uint32_t rank, const float
*values, const void *user); typedef int32_t (*NodeTextFn)(const char *text, int32_t sentence_code, const void *user);
typedef void (*NodeEmbeddingFn)(
    const uint32_t *dimensions, uint32_t rank, size_t bytes, const void *values, const void *user);
typedef void (*NodeDataFn)(const void *data, size_t bytes, const char *config, const void *user);
"""
)
"""`va_list` is declared `void *`: it is passed on, never read. On AArch64 Linux, where it is a structure that is passed
by reference, and wherever it is a pointer or an array, that is the same machine word."""

FUNCTIONS: Final = """
/* common */
uint32_t Genie_getApiMajorVersion(void);
uint32_t Genie_getApiMinorVersion(void);
uint32_t Genie_getApiPatchVersion(void);
/* log */
int32_t GenieLog_create(LogConfig, LogFn, int32_t, Log*);
int32_t GenieLog_free(Log);
/* profile */
int32_t GenieProfileConfig_createFromJson(const char*, ProfileConfig*);
int32_t GenieProfileConfig_bindLogger(ProfileConfig, Log);
int32_t GenieProfileConfig_free(ProfileConfig);
int32_t GenieProfile_create(ProfileConfig, Profile*);
int32_t GenieProfile_getJsonData(Profile, AllocFn, const char**);
int32_t GenieProfile_free(Profile);
/* sampler */
int32_t GenieSamplerConfig_createFromJson(const char*, SamplerConfig*);
int32_t GenieSamplerConfig_setParam(SamplerConfig, const char*, const char*);
int32_t GenieSamplerConfig_bindLogger(SamplerConfig, Log);
int32_t GenieSamplerConfig_free(SamplerConfig);
int32_t GenieSampler_applyConfig(Sampler, SamplerConfig);
int32_t GenieSampler_registerCallback(const char*, SampleFn);
int32_t GenieSampler_registerUserDataCallback(const char*, SampleDataFn, const void*);
int32_t GenieSampler_create(SamplerConfig, Sampler*);
int32_t GenieSampler_sampleData(Sampler, const void*, size_t, const char*, SampledFn, const void*);
int32_t GenieSampler_free(Sampler);
/* tokenizer */
int32_t GenieTokenizer_encode(Tokenizer, const char*, AllocFn, const int32_t**, uint32_t*);
int32_t GenieTokenizer_decode(Tokenizer, const int32_t*, uint32_t, AllocFn, const char**);
/* dlc */
int32_t GenieDlcConfig_create(const char*, const char*, DlcConfig*);
int32_t GenieDlcConfig_bindLogger(DlcConfig, Log);
int32_t GenieDlcConfig_free(DlcConfig);
int32_t GenieDlc_create(DlcConfig, Dlc*);
int32_t GenieDlc_getUseCases(Dlc, AllocFn, const char**);
int32_t GenieDlc_free(Dlc);
/* engine */
int32_t GenieEngineConfig_createFromJson(const char*, EngineConfig*);
int32_t GenieEngineConfig_bindProfiler(EngineConfig, Profile);
int32_t GenieEngineConfig_bindLogger(EngineConfig, Log);
int32_t GenieEngineConfig_free(EngineConfig);
int32_t GenieEngine_create(EngineConfig, Engine*);
int32_t GenieEngine_free(Engine);
/* dialog */
int32_t GenieDialogConfig_createFromJson(const char*, DialogConfig*);
int32_t GenieDialogConfig_createFromDlc(Dlc, const char*, const char*, DialogConfig*);
int32_t GenieDialogConfig_bindProfiler(DialogConfig, Profile);
int32_t GenieDialogConfig_bindLogger(DialogConfig, Log);
int32_t GenieDialogConfig_free(DialogConfig);
int32_t GenieDialog_create(DialogConfig, Dialog*);
int32_t GenieDialog_query(Dialog, const char*, int32_t, TextFn, const void*);
int32_t GenieDialog_batchQuery(Dialog, const char**, size_t, int32_t, TextFn, const void**);
int32_t GenieDialog_embeddingQuery(Dialog, const void*, uint32_t, int32_t, EmbedTokenFn, TextFn, const void*);
int32_t GenieDialog_tokenQuery(Dialog, const uint32_t*, uint32_t, int32_t, TokensFn, const void*);
int32_t GenieDialog_embeddingTokenQuery(Dialog, const void*, uint32_t, int32_t, EmbedTokenFn, TokensFn, const void*);
int32_t GenieDialog_save(Dialog, const char*);
int32_t GenieDialog_restore(Dialog, const char*);
int32_t GenieDialog_reset(Dialog);
int32_t GenieDialog_applyLora(Dialog, const char*, const char*);
int32_t GenieDialog_setLoraStrength(Dialog, const char*, const char*, float);
int32_t GenieDialog_releaseLoraMemory(Dialog, const char*, const char*);
int32_t GenieDialog_getSampler(Dialog, Sampler*);
int32_t GenieDialog_getTokenizer(Dialog, Tokenizer*);
int32_t GenieDialog_setStopSequence(Dialog, const char*);
int32_t GenieDialog_signal(Dialog, int32_t);
int32_t GenieDialog_setPriority(Dialog, const char*, int32_t);
int32_t GenieDialog_setOemKey(Dialog, const char*);
int32_t GenieDialog_bindEngine(Dialog, const char*, Engine);
int32_t GenieDialog_getEngine(Dialog, const char*, Engine*);
int32_t GenieDialog_setPerformancePolicy(Dialog, int32_t);
int32_t GenieDialog_getPerformancePolicy(Dialog, int32_t*);
int32_t GenieDialog_setMaxNumTokens(Dialog, uint32_t);
int32_t GenieDialog_getValue(Dialog, int32_t, AllocFn, int32_t*, Value*);
int32_t GenieDialog_setGrammar(Dialog, const char*, const char*);
int32_t GenieDialog_free(Dialog);
/* embedding */
int32_t GenieEmbeddingConfig_createFromJson(const char*, EmbeddingConfig*);
int32_t GenieEmbeddingConfig_createFromDlc(Dlc, const char*, const char*, EmbeddingConfig*);
int32_t GenieEmbeddingConfig_bindProfiler(EmbeddingConfig, Profile);
int32_t GenieEmbeddingConfig_bindLogger(EmbeddingConfig, Log);
int32_t GenieEmbeddingConfig_free(EmbeddingConfig);
int32_t GenieEmbedding_create(EmbeddingConfig, Embedding*);
int32_t GenieEmbedding_generate(Embedding, const char*, EmbeddingFn, const void*);
int32_t GenieEmbedding_setPerformancePolicy(Embedding, int32_t);
int32_t GenieEmbedding_getPerformancePolicy(Embedding, int32_t*);
int32_t GenieEmbedding_free(Embedding);
/* node */
int32_t GenieNodeConfig_createFromJson(const char*, NodeConfig*);
int32_t GenieNodeConfig_createFromDlc(Dlc, const char*, const char*, NodeConfig*);
int32_t GenieNodeConfig_bindProfiler(NodeConfig, Profile);
int32_t GenieNodeConfig_bindLogger(NodeConfig, Log);
int32_t GenieNodeConfig_free(NodeConfig);
int32_t GenieNode_create(NodeConfig, Node*);
int32_t GenieNode_setTextCallback(Node, int32_t, NodeTextFn);
int32_t GenieNode_setEmbeddingCallback(Node, int32_t, NodeEmbeddingFn);
int32_t GenieNode_setData(Node, int32_t, const void*, size_t, const char*);
int32_t GenieNode_getData(Node, int32_t, const char*, NodeDataFn, const void*);
int32_t GenieNode_execute(Node, const char*, const void*);
int32_t GenieNode_reset(Node);
int32_t GenieNode_applyLora(Node, const char*, const char*);
int32_t GenieNode_setLoraStrength(Node, const char*, const char*, float);
int32_t GenieNode_saveLora(Node, const char*, const char*);
int32_t GenieNode_train(Node);
int32_t GenieNode_bindEngine(Node, const char*, Engine);
int32_t GenieNode_getEngine(Node, const char*, Engine*);
int32_t GenieNode_getSampler(Node, Sampler*);
int32_t GenieNode_getTokenizer(Node, Tokenizer*);
int32_t GenieNode_free(Node);
/* pipeline */
int32_t GeniePipelineConfig_createFromJson(const char*, PipelineConfig*);
int32_t GeniePipelineConfig_bindProfiler(PipelineConfig, Profile);
int32_t GeniePipelineConfig_bindLogger(PipelineConfig, Log);
int32_t GeniePipelineConfig_free(PipelineConfig);
int32_t GeniePipeline_create(PipelineConfig, Pipeline*);
int32_t GeniePipeline_save(Pipeline, const char*);
int32_t GeniePipeline_restore(Pipeline, const char*);
int32_t GeniePipeline_reset(Pipeline);
int32_t GeniePipeline_setPriority(Pipeline, const char*, int32_t);
int32_t GeniePipeline_setOemKey(Pipeline, const char*);
int32_t GeniePipeline_addNode(Pipeline, Node);
int32_t GeniePipeline_connect(Pipeline, Node, int32_t, Node, int32_t);
int32_t GeniePipeline_execute(Pipeline, void*);
int32_t GeniePipeline_free(Pipeline);
/* accuracy */
int32_t GenieAccuracyConfig_createFromJson(const char*, AccuracyConfig*);
int32_t GenieAccuracyConfig_bindLogger(AccuracyConfig, Log);
int32_t GenieAccuracyConfig_free(AccuracyConfig);
int32_t GenieAccuracy_createFromDialog(AccuracyConfig, Dialog, Accuracy*);
int32_t GenieAccuracy_createFromNode(AccuracyConfig, Node, Accuracy*);
int32_t GenieAccuracy_compute(Accuracy, AllocFn, const char**);
int32_t GenieAccuracy_free(Accuracy);
/* performance */
int32_t GeniePerformanceConfig_createFromJson(const char*, PerformanceConfig*);
int32_t GeniePerformanceConfig_free(PerformanceConfig);
int32_t GeniePerformance_create(PerformanceConfig, Performance*);
int32_t GeniePerformance_free(Performance);
"""

UNKNOWN: Final = (
    "GenieDialog_setPerformancePerStage",
    "GenieNode_setTokenCallback",
    "GenieNode_setProgressCallback",
    "GenieNode_setTensorCallback",
    "GenieNode_setValue",
    "GeniePerformance_update",
)
"""Exported, but nobody outside Qualcomm knows their parameters beyond the handle, which comes first. Never called."""

SINCE: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys(
        (
            "GenieDialogConfig_createFromDlc",
            "GenieDialog_batchQuery",
            "GenieDialog_getValue",
            "GenieDialog_releaseLoraMemory",
            "GenieDlcConfig_create",
            "GenieDlcConfig_free",
            "GenieDlc_create",
            "GenieDlc_free",
            "GenieDlc_getUseCases",
            "GenieEmbeddingConfig_createFromDlc",
            "GenieNodeConfig_createFromDlc",
            "GenieNode_execute",
            "GenieNode_getData",
            "GenieNode_reset",
            "GenieNode_saveLora",
            "GenieNode_train",
            "GenieSampler_create",
            "GenieSampler_free",
            "GenieSampler_sampleData",
        ),
        (1, 18),
    ),
    **dict.fromkeys(
        (
            "GenieAccuracyConfig_bindLogger",
            "GenieDlcConfig_bindLogger",
            "GenieProfileConfig_bindLogger",
            "GenieSamplerConfig_bindLogger",
            "GenieNode_setTokenCallback",
        ),
        (1, 19),
    ),
    **dict.fromkeys(
        (
            "GenieDialog_setGrammar",
            "GenieDialog_setPerformancePerStage",
            "GenieNode_setProgressCallback",
            "GenieNode_setTensorCallback",
            "GenieNode_setValue",
            "GeniePerformanceConfig_createFromJson",
            "GeniePerformanceConfig_free",
            "GeniePerformance_create",
            "GeniePerformance_free",
            "GeniePerformance_update",
        ),
        (1, 21),
    ),
}
"""The API version that brought a function; what is not named here is in every version (measured on the exports)."""
