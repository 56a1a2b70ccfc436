using System.Globalization;
using Spectral.Cli.Reports;
using Spectral.Training;

namespace Spectral.Cli.Merging;

/// <summary>The table of <c>merge --eval</c>, the same on the page and on the terminal.</summary>
internal static class MergeScoreTable
{
    private static PageCell None { get; } = new("–", double.NaN);

    /// <summary>
    /// Returns the column heads: the model, three figures for each task, and the mean of what is kept.
    /// </summary>
    public static string[] Columns(MergeScores scores) =>
        [
            "model",
            .. scores.Tasks.SelectMany(task =>
                new[] { $"{task.Name}: loss", $"{task.Name}: exact match", $"{task.Name}: kept" }
            ),
            "kept on average",
        ];

    /// <summary>Returns a row for the base, for each input and for each merge; the best merge is marked.</summary>
    public static IReadOnlyList<PageCell[]> Rows(MergeScores scores) =>
        [
            Row(scores, "base", scores.Base),
            .. scores.Inputs.Select(input => Row(scores, $"input {input.Name}", input)),
            .. scores.Merges.Select(merge => Row(scores, merge.Name, merge)),
        ];

    private static PageCell[] Row(MergeScores scores, string name, MergeScore score)
    {
        bool isMerge = scores.Merges.Contains(score);
        List<PageCell> cells = [new(name)];
        for (int task = 0; task < scores.Tasks.Count; task++)
        {
            EvaluationResult result = score.Results[task];
            int number = task;
            bool isBest =
                isMerge
                && scores.Merges.Count > 1
                && result.Loss == scores.Merges.Min(merge => merge.Results[number].Loss);
            cells.Add(new PageCell(Text($"{result.Loss:0.0000}"), result.Loss, isBest));
            cells.Add(Share(result.ExactMatch));
            cells.Add(Share(scores.Kept(score, task)));
        }
        cells.Add(Share(scores.Kept(score)));
        return [.. cells];
    }

    private static PageCell Share(double? share) =>
        share is { } value ? new PageCell(Text($"{100 * value:0.0} %"), value) : None;

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
