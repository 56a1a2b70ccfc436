using System.Globalization;

namespace Spectral.Cli;

/// <summary>The table of a comparison in words, the same on the page and on the terminal.</summary>
internal static class ComparisonTable
{
    /// <summary>The heads of the columns.</summary>
    public static IReadOnlyList<string> Columns { get; } = ["method", "rank", "trainable", "eval loss", "exact match", "step time", "peak memory", "mergeable"];

    /// <summary>A field, and whether its figure is the best of its column.</summary>
    public readonly record struct Cell(string Text, bool IsBest = false);

    /// <summary>A row for each method, in the order of <see cref="Columns"/>.</summary>
    public static IReadOnlyList<Cell[]> Rows(IReadOnlyList<MethodSummary> methods)
    {
        double? loss = Distinct(methods.Select(method => method.EvalLoss?.Mean)).Min(), match = Distinct(methods.Select(method => method.ExactMatch?.Mean)).Max();
        return
        [
            .. methods.Select(method => (Cell[])
            [
                new(method.Compared.Name),
                new(method.Compared.HasRank ? Text($"{method.Compared.Options.Rank}") : "–"),
                new(Text($"{method.Trainable:N0}")),
                new(method.EvalLoss?.Text("0.0000") ?? "–", loss is not null && method.EvalLoss?.Mean == loss),
                new(method.ExactMatch is { } exact ? exact.Text("0.0", 100) + " %" : "–", match is not null && method.ExactMatch?.Mean == match),
                new(method.StepSeconds is { } seconds ? Text($"{1000 * seconds:0.0} ms") : "–"),
                new(method.PeakMemory is { } bytes ? Text($"{bytes / 1048576.0:N1} MiB") : "–"),
                new(DescribedMethod.Mergeable(method.Compared.Facts)),
            ]),
        ];
    }

    /// <summary>Figures that there is a best one of: none if all are the same.</summary>
    private static double?[] Distinct(IEnumerable<double?> means)
    {
        double?[] several = [.. means.Where(mean => mean is not null).Distinct()];
        return several.Length > 1 ? several : [];
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
