using System.Globalization;
using System.Text;

namespace Spectral.Cli;

/// <summary>
/// The page of a comparison: a table of methods, their curves, their figures by seed, and the settings. The boxes of the legend show and hide
/// methods by style alone: there is no script, and keys reach them.
/// </summary>
internal static class ComparisonPage
{
    private const int Colours = 8;

    private const string Style = """
        :root{--c0:#0969da;--c1:#bc4c00;--c2:#1a7f37;--c3:#8250df;--c4:#bf3989;--c5:#9a6700;--c6:#0e7c86;--c7:#57606a}
        @media (prefers-color-scheme:dark){:root{--c0:#58a6ff;--c1:#f0883e;--c2:#3fb950;--c3:#a371f7;--c4:#f778ba;--c5:#d29922;--c6:#39c5cf;--c7:#a8b1bb}}
        body{max-width:68rem}.scroll{overflow-x:auto;margin:1rem 0}.scroll th,.scroll td{white-space:nowrap}.scroll th[scope=row]{position:sticky;left:0;background:var(--page);color:var(--ink)}
        fieldset{border:1px solid var(--line);border-radius:6px;margin:1rem 0 0;padding:.5rem .75rem;display:flex;flex-wrap:wrap;gap:.25rem 1rem;position:sticky;top:0;background:var(--page);max-height:28vh;overflow:auto}
        legend{color:var(--quiet);padding:0 .25rem}label{display:inline-flex;align-items:center;gap:.4rem;white-space:nowrap}input{accent-color:var(--c)}
        .key{width:26px;height:4px;flex:none}.key line,.chart .curve{stroke:var(--c);stroke-dasharray:var(--dash)}.key line{stroke-width:3}
        .chart .band{fill:var(--c);opacity:.14}.chart .dot{fill:var(--c);opacity:.7}.chart .mean{stroke:var(--c);stroke-width:3}
        @media (max-height:40rem){fieldset{position:static}}
        """;

    public static string Render(Comparison comparison)
    {
        IReadOnlyList<MethodSummary> methods = comparison.Methods;
        var page = new HtmlPage(comparison.Title, Summary(comparison), Style + "\n" + MethodStyle(methods.Count));
        page.Raw(Table(methods));
        foreach (string note in comparison.Notes) page.Paragraph(note);
        foreach (MethodSummary method in methods)
            if (method.Diverged > 0) page.Paragraph($"{method.Compared.Name}: {method.Diverged} of {method.Runs.Count} runs diverged and are left out of its means: {method.Runs.First(run => run.Divergence is not null).Divergence}");
        page.Raw(Legend(methods));
        page.Heading("Training loss");
        page.Paragraph("Mean over seeds, with a band from the least to the largest of them; running means over a fifteenth of the run.");
        MeanPoint[][] training = [.. methods.Select(method => MeanCurve.Of(method.Runs.Select(run => run.Losses), smooth: true, methods.Count))];
        page.Chart(size => MeanCurve.Svg(training, "Training loss by step and method", size));
        HeldOut(page, methods);
        page.Settings(comparison.Settings);
        return page.Render();
    }

    private static string Summary(Comparison comparison)
    {
        string runs = string.Create(CultureInfo.InvariantCulture, $"{comparison.Methods.Count} methods, {comparison.Wanted / comparison.Methods.Count} seeds each, on the same records in the same order.");
        return comparison.IsComplete ? runs : $"{runs} So far {comparison.Done} of {comparison.Wanted} runs are in it.";
    }

    /// <summary>Every measurement over the steps, where there are more than the two before and after; and the last one by seed.</summary>
    private static void HeldOut(HtmlPage page, IReadOnlyList<MethodSummary> methods)
    {
        page.Heading("Held-out records");
        MeanPoint[][] measured =
        [
            .. methods.Select(method => MeanCurve.Of(method.Runs.Select(run => (LossPoint[])[.. run.Evaluations.Select(entry => new LossPoint(entry.Step, entry.Result.Loss))]), smooth: false, methods.Count)),
        ];
        if (measured.Any(curve => curve.Length > 2)) page.Chart(size => MeanCurve.Svg(measured, "Loss on held-out records by step and method", size));
        page.Paragraph("After training: a dot for each seed, a stroke at their mean.");
        page.Chart(size => SeedDots.Svg([.. methods.Select(method => (method.Compared.Name, method.EvalLoss))], "eval loss", 1, size));
        if (methods.Any(method => method.ExactMatch is not null))
            page.Chart(size => SeedDots.Svg([.. methods.Select(method => (method.Compared.Name, method.ExactMatch))], "exact match, %", 100, size));
    }

    private static string Table(IReadOnlyList<MethodSummary> methods)
    {
        var table = new StringBuilder("<div class=\"scroll\" role=\"region\" aria-label=\"Methods compared\" tabindex=\"0\">\n<table>\n<tr>");
        for (int i = 0; i < ComparisonTable.Columns.Count; i++) table.Append($"<th scope=\"col\"{(i == 0 ? "" : " class=\"number\"")}>{HtmlPage.Escape(ComparisonTable.Columns[i])}</th>");
        table.Append("</tr>\n");
        foreach (ComparisonTable.Cell[] row in ComparisonTable.Rows(methods))
        {
            table.Append($"<tr><th scope=\"row\">{HtmlPage.Escape(row[0].Text)}</th>");
            foreach (ComparisonTable.Cell cell in row[1..])
                table.Append($"<td class=\"number\">{(cell.IsBest ? $"<strong>{HtmlPage.Escape(cell.Text)}</strong>" : HtmlPage.Escape(cell.Text))}</td>");
            table.Append("</tr>\n");
        }
        return table.Append("</table>\n</div>\n").ToString();
    }

    private static string Legend(IReadOnlyList<MethodSummary> methods)
    {
        var legend = new StringBuilder("<fieldset>\n<legend>Show</legend>\n");
        for (int i = 0; i < methods.Count; i++)
            legend.Append($"<label class=\"m{i}\"><input type=\"checkbox\" id=\"show{i}\" checked><svg class=\"key\" viewBox=\"0 0 26 4\" aria-hidden=\"true\"><line x1=\"0\" x2=\"26\" y1=\"2\" y2=\"2\"/></svg>{HtmlPage.Escape(methods[i].Compared.Name)}</label>\n");
        return legend.Append("</fieldset>\n").ToString();
    }

    /// <summary>A colour and a kind of line for each method, and what its box does: hide it, or, pointed at, fade the others.</summary>
    private static string MethodStyle(int methods)
    {
        string[] dashes = ["none", "7 4", "2 3", "9 3 2 3"];
        var style = new StringBuilder();
        for (int i = 0; i < methods; i++)
            style.Append($".m{i}{{--c:var(--c{i % Colours});--dash:{dashes[i / Colours % dashes.Length]}}}body:has(#show{i}:not(:checked)) .chart .m{i}{{display:none}}"
                + $"body:has(label.m{i}:hover,#show{i}:focus-visible) .chart .curve:not(.m{i}){{opacity:.12}}\n");
        return style.ToString();
    }
}
