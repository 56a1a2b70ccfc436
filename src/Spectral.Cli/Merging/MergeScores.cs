using System.Text.Json.Nodes;
using Spectral.Cli.Output;

namespace Spectral.Cli.Merging;

/// <summary>The base, the inputs and the merges of a run of <c>merge --eval</c>, as measured so far.</summary>
/// <remarks>
/// The gain on a task is the loss of the base less that of the best single input, which is the task's expert. What a
/// model keeps of it is its own gain over the base, divided by that of the expert: 1 is the expert, 0 the base, below
/// 0 worse than the base. Where no input is better than the base, nothing can be kept.
/// </remarks>
internal sealed class MergeScores(IReadOnlyList<MergeTask> tasks)
{
    private readonly List<MergeScore> _inputs = [];
    private readonly List<MergeScore> _merges = [];
    private readonly List<(string Method, string Reason)> _leftOut = [];
    private MergeScore? _base;

    public IReadOnlyList<MergeTask> Tasks => tasks;

    public IReadOnlyList<MergeScore> Inputs => _inputs;

    public IReadOnlyList<MergeScore> Merges => _merges;

    /// <summary>The methods that cannot merge these inputs with these options, and why.</summary>
    public IReadOnlyList<(string Method, string Reason)> LeftOut => _leftOut;

    /// <summary>All models that are measured: the base, the inputs, the merges.</summary>
    public IEnumerable<MergeScore> All => [Base, .. Inputs, .. Merges];

    /// <summary>The model that all inputs were tuned from.</summary>
    /// <exception cref="InvalidOperationException">It is not measured yet.</exception>
    public MergeScore Base
    {
        get => _base ?? throw new InvalidOperationException("the base is measured first");
        set => _base = value;
    }

    public void AddInput(MergeScore score) => _inputs.Add(score);

    public void AddMerge(MergeScore score) => _merges.Add(score);

    public void LeaveOut(string method, string reason) => _leftOut.Add((method, reason));

    /// <summary>Returns the input with the smallest loss on a task; null: no loss is a number.</summary>
    public MergeScore? Expert(int task) =>
        _inputs.Where(input => double.IsFinite(input.Results[task].Loss)).MinBy(input => input.Results[task].Loss);

    /// <summary>Returns how much of a task's gain a model keeps; null: no input gains anything.</summary>
    public double? Kept(MergeScore score, int task)
    {
        double start = Base.Results[task].Loss;
        return Expert(task) is { } expert && start - expert.Results[task].Loss is > 0 and var gain
            ? (start - score.Results[task].Loss) / gain
            : null;
    }

    /// <summary>Returns the mean of what a model keeps, over the tasks on which an input gains something.</summary>
    public double? Kept(MergeScore score)
    {
        double[] shares = [.. tasks.Select((_, task) => Kept(score, task)).OfType<double>()];
        return shares.Length == 0 ? null : shares.Average();
    }

    public JsonObject ToJson() =>
        new()
        {
            ["tasks"] = new JsonArray([.. tasks.Select(Task)]),
            ["base"] = Json(Base),
            ["inputs"] = new JsonArray([.. Inputs.Select(input => (JsonNode)Named("input", input))]),
            ["methods"] = new JsonArray([.. Merges.Select(merge => (JsonNode)Named("method", merge))]),
            ["left_out"] = new JsonArray([
                .. LeftOut.Select(one => (JsonNode)new JsonObject { ["method"] = one.Method, ["reason"] = one.Reason }),
            ]),
        };

    private JsonNode Task(MergeTask task, int number) =>
        new JsonObject
        {
            ["name"] = task.Name,
            ["file"] = task.File,
            ["records"] = task.Records.Count,
            ["expert"] = Expert(number)?.Name,
        };

    private JsonObject Named(string kind, MergeScore score)
    {
        JsonObject json = new() { [kind] = score.Name };
        foreach ((string key, JsonNode? value) in Json(score).ToArray())
            json[key] = value?.DeepClone();
        return json;
    }

    private JsonObject Json(MergeScore score) =>
        new()
        {
            ["kept"] = JsonOutput.Number(Kept(score)),
            ["tasks"] = new JsonArray([
                .. score.Results.Select(
                    (result, task) =>
                        (JsonNode)
                            new JsonObject
                            {
                                ["task"] = tasks[task].Name,
                                ["loss"] = JsonOutput.Number(result.Loss),
                                ["exact_match"] = JsonOutput.Number(result.ExactMatch),
                                ["kept"] = JsonOutput.Number(Kept(score, task)),
                            }
                ),
            ]),
        };
}
