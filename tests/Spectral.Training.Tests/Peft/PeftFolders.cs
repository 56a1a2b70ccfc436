using System.Text.Json;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Peft;

/// <summary>
/// Folders that the PEFT library wrote, in <c>adapters</c>, each with what PEFT itself computes with it:
/// <c>expected.json</c> names the model in <c>models</c>, PEFT's version, the loss on <c>data.jsonl</c> and the loss
/// once it is merged.
/// </summary>
internal static class PeftFolders
{
    private static string Root { get; } = Path.Combine(AppContext.BaseDirectory, "Peft");

    /// <summary>The names of all of them.</summary>
    public static string[] Names { get; } =
    [
        .. Directory
            .GetDirectories(Path.Combine(Root, "adapters"))
            .Select(path => Path.GetFileName(path))
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>The records that losses are measured on.</summary>
    public static string Data { get; } = Path.Combine(Root, "data.jsonl");

    /// <summary>The path of one.</summary>
    public static string Adapter(string name) => Path.Combine(Root, "adapters", name);

    /// <summary>The path of a model.</summary>
    public static string Model(string name) => Path.Combine(Root, "models", name);

    /// <summary>The model's name, and the losses with the adapter and merged.</summary>
    public static (string Model, double Loss, double? Merged) Expected(string name)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Adapter(name), "expected.json")));
        JsonElement root = document.RootElement;
        double? merged =
            root.TryGetProperty("merged", out JsonElement value) && value.ValueKind == JsonValueKind.Number
                ? value.GetDouble()
                : null;
        return (root.GetProperty("base").GetString()!, root.GetProperty("loss").GetDouble(), merged);
    }

    /// <summary>The records as token ids of a model.</summary>
    public static EncodedRecord[] Records(string model)
    {
        using var folder = ModelFolder.Open(Model(model));
        var tokenizer = BpeTokenizer.Load(Model(model));
        return RecordEncoder.EncodeAll(
            RecordReader.Load(Data),
            tokenizer,
            folder.Config.EosTokenIds,
            folder.Config.MaxPositions
        );
    }
}
