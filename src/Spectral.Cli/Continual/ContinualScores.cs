using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Training.IO;

namespace Spectral.Cli.Continual;

/// <summary>
/// The table task × after-task as far as it is measured: a stage for the base, then one after each task.
/// </summary>
/// <param name="tasks">The names of the tasks, in the order of training.</param>
internal sealed class ContinualScores(IReadOnlyList<string> tasks)
{
    private const string Stages = "stages";

    private readonly List<IReadOnlyList<TaskScore>> _stages = [];

    public IReadOnlyList<string> Tasks => tasks;

    /// <summary>The number of stages measured: 1 with the base alone, one more after each task.</summary>
    public int Count => _stages.Count;

    public bool IsComplete => Count == tasks.Count + 1;

    /// <summary>The scores of a stage, one for each task: 0 is the base, i the model after the i-th task.</summary>
    public IReadOnlyList<TaskScore> this[int stage] => _stages[stage];

    /// <summary>The measures of exact match; null: no task is trained, or one has no completions.</summary>
    public ContinualMeasures? ExactMatch =>
        Count > 1 && _stages.All(stage => stage.All(score => score.ExactMatch is not null))
            ? ContinualMeasures.Of([.. Trained(score => score.ExactMatch!.Value)])
            : null;

    /// <summary>
    /// The measures of minus the loss, so that more is better as in exact match; null: no task is trained.
    /// </summary>
    public ContinualMeasures? MinusLoss => Count > 1 ? ContinualMeasures.Of([.. Trained(score => -score.Loss)]) : null;

    /// <summary>Adds the next stage.</summary>
    /// <param name="scores">A score for each task.</param>
    public void Add(IReadOnlyList<TaskScore> scores) => _stages.Add(scores);

    /// <summary>Returns what a stage is called: the base, or after which task.</summary>
    public string NameOf(int stage) => stage == 0 ? "base" : $"after {tasks[stage - 1]}";

    public JsonObject ToJson() =>
        new()
        {
            ["tasks"] = JsonOutput.Array(tasks),
            [Stages] = new JsonArray([.. _stages.Select((scores, stage) => (JsonNode)Stage(scores, stage))]),
            ["exact_match"] = Json(ExactMatch, 1),
            ["loss"] = Json(MinusLoss, -1),
            ["complete"] = IsComplete,
        };

    /// <summary>Takes over the stages that <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The object; null: there is none.</param>
    /// <param name="most">The number of stages that may be taken over.</param>
    /// <exception cref="InputException">A stage lacks a task.</exception>
    public void Restore(JsonObject? json, int most)
    {
        foreach (JsonNode? stage in (json?[Stages] as JsonArray ?? []).Take(most))
            Add([.. tasks.Select(task => Read(stage, task))]);
    }

    private static TaskScore Read(JsonNode? stage, string task) =>
        (stage as JsonObject)?["scores"] is JsonObject scores && scores[task] is JsonObject score
            ? new TaskScore(Number(score["loss"]) ?? double.NaN, Number(score["exact_match"]))
            : throw new InputException($"--resume: the scores written so far lack the task \"{task}\"");

    private static double? Number(JsonNode? node) =>
        node is JsonValue value && value.TryGetValue(out double number) ? number : null;

    private IEnumerable<IReadOnlyList<double>> Trained(Func<TaskScore, double> figure) =>
        _stages.Skip(1).Select(stage => (IReadOnlyList<double>)[.. stage.Select(figure)]);

    private JsonObject Stage(IReadOnlyList<TaskScore> scores, int stage)
    {
        var json = new JsonObject();
        foreach ((string task, TaskScore score) in tasks.Zip(scores))
        {
            json[task] = new JsonObject
            {
                ["loss"] = JsonOutput.Number(score.Loss),
                ["exact_match"] = JsonOutput.Number(score.ExactMatch),
            };
        }

        return new JsonObject { ["after"] = stage == 0 ? null : tasks[stage - 1], ["scores"] = json };
    }

    /// <param name="measures">The measures; null where there are none.</param>
    /// <param name="sign">The sign of the average: −1 gives the loss itself, while less loss stays a gain.</param>
    private static JsonObject? Json(ContinualMeasures? measures, int sign) =>
        measures is null
            ? null
            : new JsonObject
            {
                ["average"] = JsonOutput.Number(sign * measures.Average),
                ["backward_transfer"] = JsonOutput.Number(measures.BackwardTransfer),
                ["forgetting"] = JsonOutput.Number(measures.Forgetting),
            };
}
