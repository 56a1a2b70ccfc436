using System.Text.Json.Nodes;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Tests.Support;

/// <summary>Adapter folders for <see cref="TinyModel"/>.</summary>
internal static class AdapterFiles
{
    public const string Module = "model.layers.0.self_attn.q_proj";
    public const string Other = "model.layers.1.mlp.down_proj";

    /// <summary>The keys that a current PEFT writes for a plain LoRA.</summary>
    public static JsonObject PeftConfig() =>
        JsonNode
            .Parse(
                """
                {"alora_invocation_tokens":null,"alpha_pattern":{},"arrow_config":null,"auto_mapping":null,
                "base_model_name_or_path":"base","bias":"none",
                 "corda_config":null,"ensure_weight_tying":false,"eva_config":null,"exclude_modules":null,
                 "fan_in_fan_out":false,"inference_mode":true,
                 "init_lora_weights":true,"layer_replication":null,"layers_pattern":null,"layers_to_transform":null,
                 "loftq_config":{},"lora_alpha":16,
                 "lora_bias":false,"lora_dropout":0.1,"megatron_config":null,"megatron_core":"megatron.core",
                 "modules_to_save":null,"peft_type":"LORA",
                 "peft_version":"0.18.0","qalora_group_size":16,"r":2,"rank_pattern":{},"revision":null,
                 "target_modules":["q_proj","down_proj"],
                 "target_parameters":null,"task_type":"CAUSAL_LM","trainable_token_indices":null,"use_dora":false,
                 "use_qalora":false,"use_rslora":false}
                """
            )!
            .AsObject();

    /// <summary>Both factors of a module with 8 or 12 inputs and 8 outputs.</summary>
    public static IEnumerable<TensorToWrite> LowRank(
        string module,
        int rank,
        StoredType type = StoredType.F32,
        string format = "base_model.model.{0}.{1}.weight"
    )
    {
        int inputs = module.EndsWith("down_proj", StringComparison.Ordinal) ? 12 : 8;
        yield return TinyModel.Numbered(string.Format(format, module, "lora_A"), [rank, inputs], 1, type);
        yield return TinyModel.Numbered(string.Format(format, module, "lora_B"), [8, rank], 2, type);
    }

    public static IEnumerable<TensorToWrite> Spectral(string module, int k)
    {
        int inputs = module.EndsWith("down_proj", StringComparison.Ordinal) ? 12 : 8;
        yield return TinyModel.Numbered(AdapterFolder.KeyOf(module, "spec_U"), [8, k], 3);
        yield return TinyModel.Numbered(AdapterFolder.KeyOf(module, "spec_S"), [k], 4);
        yield return TinyModel.Numbered(AdapterFolder.KeyOf(module, "spec_V"), [k, inputs], 5);
        yield return TinyModel.Numbered(AdapterFolder.KeyOf(module, "spec_delta"), [k], 6);
    }

    public static AdapterConfig Config(string method, AdapterOptions options, params string[] targets) =>
        new()
        {
            Method = AdapterMethods.Find(method),
            Options = options,
            TargetModules = ModulePattern.Of(targets.Length == 0 ? ["q_proj", "down_proj"] : targets),
            BaseModel = "base",
        };

    public static AdapterConfig SpecLora(int rank, int topK) =>
        Config(
            "speclora",
            new AdapterOptions
            {
                Rank = rank,
                Alpha = 3,
                TopK = topK,
            }
        );

    public static void Write(TemporaryFolder folder, JsonObject config, params IEnumerable<TensorToWrite> tensors)
    {
        folder.Write("adapter_config.json", config.ToJsonString());
        SafetensorsWriter.Write(folder.File("adapter_model.safetensors"), [.. tensors]);
    }
}
