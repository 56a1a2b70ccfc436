using System.Globalization;
using Spectral.Cli.Reports;

namespace Spectral.Cli.Continual;

/// <summary>The tables of <c>continual</c>, the same on the page and on the terminal.</summary>
internal static class ContinualTable
{
    /// <summary>The column heads of the measures.</summary>
    public static IReadOnlyList<string> MeasureColumns { get; } =
    ["after the last task", "average", "backward transfer", "forgetting"];

    private static PageCell None { get; } = new("–", double.NaN);

    /// <summary>Returns the column heads of a figure: its name, then a column for each stage.</summary>
    public static string[] Columns(ContinualScores scores, string figure) =>
        [figure, .. Enumerable.Range(0, scores.Count).Select(scores.NameOf)];

    /// <summary>Returns a row for each task with the loss at each stage.</summary>
    public static IReadOnlyList<PageCell[]> Losses(ContinualScores scores) =>
        Rows(scores, score => new PageCell(Text($"{score.Loss:0.0000}"), score.Loss));

    /// <summary>Returns a row for each task with the exact match at each stage.</summary>
    public static IReadOnlyList<PageCell[]> ExactMatches(ContinualScores scores) =>
        Rows(scores, score => Percent(score.ExactMatch));

    /// <summary>Returns whether any task has records whose answer can match.</summary>
    public static bool HasExactMatch(ContinualScores scores) =>
        Enumerable.Range(0, scores.Count).Any(stage => scores[stage].Any(score => score.ExactMatch is not null));

    /// <summary>Returns the measures of exact match, if there are any, and of the loss.</summary>
    public static IReadOnlyList<PageCell[]> Measures(ContinualScores scores)
    {
        var rows = new List<PageCell[]>();
        if (scores.ExactMatch is { } match)
        {
            rows.Add([
                new("exact match"),
                Percent(match.Average),
                Percent(match.BackwardTransfer),
                Percent(match.Forgetting),
            ]);
        }

        if (scores.MinusLoss is { } loss)
        {
            rows.Add([new("loss"), Number(-loss.Average), Number(loss.BackwardTransfer), Number(loss.Forgetting)]);
        }

        return rows;
    }

    private static IReadOnlyList<PageCell[]> Rows(ContinualScores scores, Func<TaskScore, PageCell> cell) =>
        [
            .. scores.Tasks.Select(
                (task, j) =>
                    (PageCell[])
                        [new(task), .. Enumerable.Range(0, scores.Count).Select(stage => cell(scores[stage][j]))]
            ),
        ];

    private static PageCell Percent(double? share) =>
        share is { } value ? new PageCell(Text($"{100 * value:0.0} %"), value) : None;

    private static PageCell Number(double? number) =>
        number is { } value ? new PageCell(Text($"{value:0.0000}"), value) : None;

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
