using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Training.IO;

namespace Spectral.Training.Placement.Search;

/// <summary>
/// The finished runs of a search, in a file that is replaced whole after each run, so that a search that was stopped
/// goes on where it was. A run is found by its configuration and its number of steps: a search with a larger budget
/// uses the runs of a smaller one.
/// </summary>
internal sealed class SearchResults
{
    private const int Version = 1;
    private const string Parameters = "trainable_parameters";
    private const long LargestFile = 64 << 20;

    private readonly string? _path;
    private readonly IReadOnlyDictionary<string, string> _identity;
    private readonly List<FinishedTrial> _trials = [];

    /// <summary>Opens the results, and reads what is in the file if there is one.</summary>
    /// <param name="path">The file; null: results are not kept.</param>
    /// <param name="identity">What all runs have in common, by name.</param>
    /// <exception cref="InputException">The file is not valid, or is that of another search.</exception>
    public SearchResults(string? path, IReadOnlyDictionary<string, string> identity)
    {
        (_path, _identity) = (path, identity);
        if (path is null || !File.Exists(path))
            return;
        using JsonDocument document = StrictJson.ParseFile(path, LargestFile);
        var fields = new JsonFields(document.RootElement, path);
        fields.RequiredInteger("format_version", Version, Version);
        JsonFields search = fields.Object("search") ?? throw fields.Wrong("search", "an object");
        foreach ((string name, string value) in identity)
        {
            if (search.RequiredText(name) is var found && found != value)
            {
                throw new InputException(
                    $"{path}: of a search with another {name} ({InputText.Quote(found)}), expected {value}"
                );
            }
        }

        _trials.AddRange(fields.Objects("runs").Select(Read));
    }

    /// <summary>The finished runs, in their order.</summary>
    public IReadOnlyList<FinishedTrial> Trials => _trials;

    /// <summary>Returns a run that is finished; null if it is not.</summary>
    public FinishedTrial? Find(Candidate candidate, int steps)
    {
        string wanted = candidate.ToString();
        return _trials.Find(trial => trial.Steps == steps && trial.Candidate.ToString() == wanted);
    }

    /// <summary>Adds a finished run and writes the file.</summary>
    public void Add(FinishedTrial trial)
    {
        _trials.Add(trial);
        if (_path is null)
            return;
        AtomicFile.Write(
            _path,
            stream =>
            {
                using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
                Json().WriteTo(writer);
            }
        );
    }

    private JsonObject Json() =>
        new()
        {
            ["format_version"] = Version,
            ["search"] = new JsonObject(
                _identity.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)JsonValue.Create(pair.Value)))
            ),
            ["runs"] = new JsonArray([
                .. _trials.Select(trial =>
                    (JsonNode)
                        new JsonObject
                        {
                            ["adapter"] = trial.Candidate.Adapter,
                            ["rank"] = trial.Candidate.Rank,
                            ["layers"] = new JsonArray([.. trial.Candidate.Layers.Select(layer => (JsonNode)layer)]),
                            ["steps"] = trial.Steps,
                            ["loss"] = trial.Loss,
                            [Parameters] = trial.Trainable,
                        }
                ),
            ]),
        };

    private static FinishedTrial Read(JsonFields fields) =>
        new(
            new Candidate(
                fields.RequiredText("adapter"),
                fields.RequiredInteger("rank", 1, 65536),
                fields.IntegerOrList("layers", 0, int.MaxValue) ?? throw fields.Wrong("layers", "numbers of layers")
            ),
            fields.RequiredInteger("steps", 1, int.MaxValue),
            fields.Number("loss", double.MinValue, double.MaxValue),
            (long)(fields.Number(Parameters, 0, 1L << 53) ?? throw fields.Wrong(Parameters, "a number"))
        );
}
