using System.Text.Json;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Routing;

/// <summary>
/// Reads and writes a folder of several experts, adapters of one base of which each prompt takes one:
/// <c>experts.json</c> lists them, <c>queries.safetensors</c> holds the features of prompts that each of them is for,
/// and each has an adapter folder inside.
/// </summary>
/// <remarks>
/// The feature of a prompt is the mean over its tokens of the base's last hidden states, after the final norm. Of the k
/// queries nearest to it, in the Euclidean distance, the expert takes it that most belong to.
/// </remarks>
/// <example>
/// <code>
/// ExpertFolder experts = ExpertFolder.Open(adapterPath);
/// RoutedEvaluation found = RoutedEvaluator.Evaluate(model, experts, records);
/// </code>
/// </example>
public sealed class ExpertFolder
{
    private const string DescriptionFile = "experts.json";
    private const string QueriesFile = "queries.safetensors";
    private const string VersionKey = "format_version";
    private const string MethodKey = "method";
    private const string NeighboursKey = "neighbours";
    private const string ExpertsKey = "experts";
    private const string NameKey = "name";
    private const string FolderKey = "folder";
    private const int Version = 1;
    private const long MaximumBytes = 4 << 20;

    private readonly NearestQueries _queries;
    private readonly int _size;

    private ExpertFolder(string directory)
    {
        Directory = directory;
        string path = FolderFile.At(directory, DescriptionFile);
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        JsonFields fields = new(document.RootElement, path);
        if (fields.RequiredInteger(VersionKey, 1, int.MaxValue) is not Version and var other)
        {
            throw new InputException(
                $"{path}: {VersionKey} {other}, expected {Version}; a newer version of spectral may read it"
            );
        }

        using var file = SafetensorsFile.Open(FolderFile.At(directory, QueriesFile));
        List<Expert> experts = [];
        List<float[]> features = [];
        List<int> owners = [];
        foreach (JsonFields expert in fields.Objects(ExpertsKey))
        {
            string folder = expert.RequiredText(FolderKey);
            string full = Path.Combine(directory, folder);
            if (!FolderFile.IsPlainName(folder) || experts.Exists(known => known.Directory == full))
                throw expert.Wrong(FolderKey, "the name of a folder of its own in this folder");
            features.AddRange(QueriesOf(file, folder, features.Count > 0 ? features[0].Length : null));
            owners.AddRange(Enumerable.Repeat(experts.Count, features.Count - owners.Count));
            experts.Add(new Expert(expert.RequiredText(NameKey), full));
        }
        if (experts.Count == 0)
            throw fields.Wrong(ExpertsKey, "an array of experts");
        Experts = experts;
        _size = features[0].Length;
        _queries = new NearestQueries(features, owners, fields.RequiredInteger(NeighboursKey, 1, features.Count));
    }

    /// <summary>The path of the folder.</summary>
    public string Directory { get; }

    /// <summary>The adapters, in the order of the inputs that they were made from.</summary>
    public IReadOnlyList<Expert> Experts { get; }

    /// <summary>Returns whether a folder holds several experts.</summary>
    public static bool IsOne(string directory) => File.Exists(Path.Combine(directory, QueriesFile));

    /// <summary>Opens a folder and checks it. The adapters in it are checked when they are loaded.</summary>
    /// <exception cref="InputException">A file is missing or malformed, or the two do not fit each other.</exception>
    public static ExpertFolder Open(string directory) => new(directory);

    /// <summary>Writes the two files into an existing folder, beside the folders of the experts.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="method">The name of the method that made the experts.</param>
    /// <param name="neighbours">How many queries decide, from 1 to their number.</param>
    /// <param name="experts">The name of each expert, that of its folder, and the features of its queries.</param>
    internal static void Write(
        string directory,
        string method,
        int neighbours,
        IReadOnlyList<(string Name, string Folder, float[][] Queries)> experts
    )
    {
        SafetensorsWriter.Write(
            Path.Combine(directory, QueriesFile),
            [
                .. experts.Select(expert =>
                    TensorToWrite.Floats(
                        expert.Folder,
                        StoredType.F32,
                        [expert.Queries.Length, expert.Queries[0].Length],
                        () => [.. expert.Queries.SelectMany(query => query)]
                    )
                ),
            ]
        );
        AtomicFile.Write(
            Path.Combine(directory, DescriptionFile),
            stream =>
            {
                using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
                json.WriteStartObject();
                json.WriteNumber(VersionKey, Version);
                json.WriteString(MethodKey, method);
                json.WriteNumber(NeighboursKey, neighbours);
                json.WriteStartArray(ExpertsKey);
                foreach ((string name, string folder, float[][] _) in experts)
                {
                    json.WriteStartObject();
                    json.WriteString(NameKey, name);
                    json.WriteString(FolderKey, folder);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
                json.WriteEndObject();
            }
        );
    }

    /// <summary>Chooses an expert for each record by its prompt, or by all of a record that is a plain text.</summary>
    /// <param name="model">The base, without an adapter.</param>
    /// <param name="records">The records.</param>
    /// <param name="batch">The number of records in a batch. It changes results only by rounding.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>The index in <see cref="Experts"/> for each record.</returns>
    /// <exception cref="InputException">
    /// The folder was made for another base, or a prompt has no tokens or no finite hidden states.
    /// </exception>
    public int[] Choose(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> records,
        int batch = 8,
        CancellationToken cancellation = default
    ) => Choose(model, [.. records.Select(PromptFeatures.TokensOf)], batch, cancellation);

    /// <summary>Chooses the expert for the tokens of a prompt.</summary>
    /// <inheritdoc cref="Choose(CausalLanguageModel, IReadOnlyList{EncodedRecord}, int, CancellationToken)"/>
    /// <param name="model">The base, without an adapter.</param>
    /// <param name="prompt">The tokens.</param>
    public Expert Choose(CausalLanguageModel model, int[] prompt) => Experts[Choose(model, [prompt], 1, default)[0]];

    private int[] Choose(
        CausalLanguageModel model,
        IReadOnlyList<int[]> prompts,
        int batch,
        CancellationToken cancellation
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        if (model.Adapter is not null)
            throw new InvalidOperationException("the model has an adapter; detach it first");
        if (model.Config.HiddenSize != _size)
        {
            throw new InputException(
                $"{Directory}: its queries have {_size} features, the model has a hidden size of "
                    + $"{model.Config.HiddenSize}; was it made for another base?"
            );
        }

        return Array.ConvertAll(PromptFeatures.Of(model, prompts, batch, cancellation), _queries.Choose);
    }

    private static float[][] QueriesOf(SafetensorsFile file, string name, int? size)
    {
        SafetensorsTensor stored = file[name];
        if (
            stored.Type != StoredType.F32
            || stored.Shape is not [> 0, > 0 and var columns]
            || (size is { } wanted && columns != wanted)
        )
        {
            throw new InputException(
                $"{file.Path}: tensor {InputText.Quote(name)} is {stored.Type.HeaderName()} "
                    + $"{InputText.Shape([.. stored.Shape])}, expected F32 [queries, {size?.ToString() ?? "features"}]"
            );
        }

        return [.. stored.ToFloats().Chunk((int)columns)];
    }
}
