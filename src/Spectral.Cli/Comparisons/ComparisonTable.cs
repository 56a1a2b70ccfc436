using System.Globalization;
using Spectral.Cli.Options;
using Spectral.Cli.Reports;

namespace Spectral.Cli.Comparisons;

/// <summary>The table of a comparison in words, the same on the page and on the terminal.</summary>
internal static class ComparisonTable
{
    /// <summary>The column heads of the table.</summary>
    public static IReadOnlyList<string> Columns { get; } =
    ["method", "rank", "trainable", "eval loss", "exact match", "step time", "peak memory", "mergeable"];

    private static PageCell None { get; } = new("–", double.NaN);

    /// <summary>Returns a row for each method, with the fields that <see cref="Columns"/> names.</summary>
    public static IReadOnlyList<PageCell[]> Rows(IReadOnlyList<MethodSummary> methods)
    {
        double? loss = Distinct(methods.Select(method => method.EvalLoss?.Mean)).Min();
        double? match = Distinct(methods.Select(method => method.ExactMatch?.Mean)).Max();
        return
        [
            .. methods.Select(method =>
                (PageCell[])
                    [
                        new(method.Compared.Name),
                        method.Compared.HasRank
                            ? new(Text($"{method.Compared.Options.Rank}"), method.Compared.Options.Rank)
                            : None,
                        new(Text($"{method.Trainable:N0}"), method.Trainable),
                        method.EvalLoss is { } held ? new(held.Text("0.0000"), held.Mean, held.Mean == loss) : None,
                        method.ExactMatch is { } exact
                            ? new(exact.Text("0.0", 100) + " %", exact.Mean, exact.Mean == match)
                            : None,
                        method.StepSeconds is { } seconds ? new(Text($"{1000 * seconds:0.0} ms"), seconds) : None,
                        method.PeakMemory is { } bytes ? new(Text($"{bytes / 1048576.0:N1} MiB"), bytes) : None,
                        new(DescribedMethod.Mergeable(method.Compared.Facts)),
                    ]
            ),
        ];
    }

    /// <summary>Returns the figures among which one is best: none if all are the same.</summary>
    private static double?[] Distinct(IEnumerable<double?> means)
    {
        double?[] several = [.. means.Where(mean => mean is not null).Distinct()];
        return several.Length > 1 ? several : [];
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
