namespace Spectral.Cli;

/// <summary>Draws a figure of several methods: a row each, a dot per seed and a stroke at their mean.</summary>
internal static class SeedDots
{
    private const double Row = 24, Above = 26, Below = 44, LetterWidth = 7.2;

    /// <param name="rows">Methods with their values, in the order of their classes m0, m1, …; null where there are none.</param>
    /// <param name="title">What the values are.</param>
    /// <param name="factor">What to show them times.</param>
    /// <param name="size">The width to draw for; the height follows from the rows.</param>
    public static string Svg(IReadOnlyList<(string Name, Spread? Values)> rows, string title, double factor, ChartSize size)
    {
        double longest = rows.Max(row => row.Name.Length) * LetterWidth + 16;
        var chart = new Chart(size with { Height = Above + rows.Count * Row + Below }, $"{title} by method") { Left = Math.Min(longest, size.Width / 2), Top = Above };
        double[] all = [.. rows.SelectMany(row => row.Values?.Values ?? []).Select(value => factor * value)];
        var axis = all.Length == 0 ? ChartAxis.FromZero(0, 1, chart.Left, chart.Right - 8) : ChartAxis.Fitting(all.Min(), all.Max(), chart.Left, chart.Right - 8);
        chart.Text(chart.Left, 16, axis.IsLogarithmic ? title + ", logarithmic" : title, "title");
        foreach (double tick in axis.Ticks())
        {
            chart.Segment(axis.At(tick), Above, axis.At(tick), chart.Bottom, "grid");
            chart.Text(axis.At(tick), chart.Bottom + 18, Chart.Number(tick), anchor: "middle");
        }
        for (int i = 0; i < rows.Count; i++)
        {
            double y = Above + (i + 0.5) * Row;
            chart.Text(chart.Left - 10, y + 4, rows[i].Name, $"row m{i}", anchor: "end");
            if (rows[i].Values is not { } values) continue;
            double mean = axis.At(factor * values.Mean);
            chart.Segment(mean, y - 8, mean, y + 8, $"mean m{i}");
            foreach (double value in values.Values) chart.Dot(axis.At(factor * value), y, $"dot m{i}", radius: 4);
        }
        return chart.Render();
    }
}
