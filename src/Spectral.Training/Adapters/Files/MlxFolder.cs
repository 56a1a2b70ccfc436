using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Reads an adapter folder of mlx-lm: <c>adapter_config.json</c> with <c>fine_tune_type</c> and <c>lora_parameters</c>,
/// and <c>adapters.safetensors</c> with <c>lora_a</c> [in, r], <c>lora_b</c> [r, out] and, for DoRA, <c>m</c> [out]
/// after the modules' paths. The result is PEFT's LoRA or DoRA: A and B are the transposed matrices, and alpha/r is
/// mlx-lm's scale.
/// </summary>
internal static class MlxFolder
{
    private const string WeightsFile = "adapters.safetensors";
    private const string Parameters = "lora_parameters";
    private const int LargestRank = 1 << 16;
    private const double LargestScale = 1e9;

    private static readonly Dictionary<string, string> Leaves = new()
    {
        ["lora_a"] = LoraNames.A,
        ["lora_b"] = LoraNames.B,
        ["m"] = LoraNames.Magnitude,
    };

    /// <summary>Returns whether a folder without PEFT's weights is one of mlx-lm.</summary>
    public static bool IsOne(string directory) => File.Exists(Path.Combine(directory, WeightsFile));

    /// <summary>Converts the config to PEFT's terms, for the modules that have tensors.</summary>
    /// <exception cref="InputException">A key is missing or wrong, or the adapter is not a low-rank one.</exception>
    public static AdapterConfig Config(JsonFields fields, SafetensorsFile file)
    {
        string kind = fields.Text("fine_tune_type") ?? "lora";
        if (kind is not ("lora" or "dora"))
        {
            throw fields.Wrong(
                "fine_tune_type",
                "lora or dora: of a full fine-tuning the folder has whole weights; "
                    + "fuse them into the model (mlx_lm.fuse)"
            );
        }

        JsonFields parameters = fields.Object(Parameters) ?? throw fields.Wrong(Parameters, "an object");
        int rank = parameters.RequiredInteger("rank", 1, LargestRank);
        double scale =
            parameters.Number("scale", -LargestScale, LargestScale) ?? throw parameters.Wrong("scale", "a number");
        return new AdapterConfig
        {
            Method = AdapterMethods.Find(kind),
            Options = new AdapterOptions
            {
                Rank = rank,
                Alpha = scale * rank,
                Dropout = parameters.Number("dropout", 0, 1) ?? 0,
            },
            // The keys "keys" and "num_layers" say which layers may have tensors. A layer without tensors is unchanged.
            TargetModules = ModulePattern.Of(
                file.Tensors.Keys.Where(name => LeafOf(name) is not null).Select(ModuleOf).Distinct()
            ),
            BaseModel = fields.Text("model"),
        };
    }

    /// <summary>Returns the tensors under PEFT's names.</summary>
    public static IEnumerable<AdapterTensor> Tensors(SafetensorsFile file) => file.Tensors.Values.Select(Renamed);

    /// <summary>Returns the path of the weights.</summary>
    /// <exception cref="InputException">The path leads out of the folder.</exception>
    public static string WeightsIn(string directory) => FolderFile.At(directory, WeightsFile);

    private static AdapterTensor Renamed(SafetensorsTensor stored)
    {
        var tensor = AdapterTensor.Of(stored);
        if (LeafOf(stored.Name) is not { } leaf)
            return tensor;
        tensor = tensor with { Key = $"{ModuleOf(stored.Name)}.{leaf}" };
        if (stored.Shape is not [var rows, var columns])
            return tensor;
        return tensor with
        {
            Shape = [columns, rows],
            ToFloats = () => HostMatrix.Transposed(stored.ToFloats(), (int)rows, (int)columns),
            Source = null,
        };
    }

    private static string ModuleOf(string name) => name[..name.LastIndexOf('.')];

    private static string? LeafOf(string name) =>
        name.LastIndexOf('.') is > 0 and int dot ? Leaves.GetValueOrDefault(name[(dot + 1)..]) : null;
}
