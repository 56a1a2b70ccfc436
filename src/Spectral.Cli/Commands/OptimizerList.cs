using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Optim;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral methods --optimizers</c>: the optimizers, or one of them in detail.</summary>
internal static class OptimizerList
{
    private const int Rows = 4096;

    /// <param name="context">The command line.</param>
    /// <param name="name">The optimizer to show in detail; null: all.</param>
    /// <param name="rank">The number of columns of the factor that memory is counted for.</param>
    public static void Print(CommandContext context, string? name, int rank)
    {
        Shape factor = (Rows, rank);
        if (name is not null)
        {
            OptimizerMethod method = OptimizerMethods.Find(name);
            context.Finish(Json(method, factor), terminal => Show(terminal, method, factor));
            return;
        }

        var result = new JsonObject
        {
            ["optimizers"] = new JsonArray([.. OptimizerMethods.All.Select(method => (JsonNode)Json(method, factor))]),
        };
        context.Finish(
            result,
            terminal =>
            {
                terminal.Table(
                    ["name", "bytes/parameter", "options", "source"],
                    [
                        .. OptimizerMethods.All.Select(method =>
                            (string[])
                                [method.Name, Text(BytesPerParameter(method, factor)), Options(method), method.Origin]
                        ),
                    ],
                    textFrom: 2
                );
                terminal.Line(
                    $"state for a factor of {Rows} x {rank}, beside 8 bytes a parameter for master and gradient; "
                        + "`spectral methods --optimizers NAME` shows one optimizer in detail"
                );
            }
        );
    }

    private static void Show(Terminal terminal, OptimizerMethod method, Shape factor)
    {
        terminal.Line($"{method.Name}: {method.Summary}");
        terminal.Table(
            ("use", method.Use),
            ("source", method.Source),
            MethodText.Form(method),
            ("state", $"{Text(BytesPerParameter(method, factor))} bytes a parameter for a factor of {factor}"),
            ("options", Options(method)),
            ("--graph", method.GraphRefusal is { } refusal ? $"no: it {refusal}" : "yes")
        );
        if (method.KeepsAverage)
            terminal.Line("an average that the optimizer keeps is evaluated and saved");
        MethodText.ShowSettings(terminal, method.Settings);
    }

    private static JsonObject Json(OptimizerMethod method, Shape factor) =>
        new()
        {
            ["name"] = method.Name,
            ["formula"] = method.Formula,
            ["source"] = method.Source,
            ["published_form"] = method.IsPublishedForm,
            ["use"] = method.Use,
            ["bytes_per_parameter"] = JsonOutput.Number(BytesPerParameter(method, factor)),
            ["options"] = JsonOutput.Array(OptionNames(method)),
            ["graph"] = method.GraphRefusal is null,
            ["keeps_average"] = method.KeepsAverage,
            ["needs_gradients"] = method.NeedsGradients,
            ["settings"] = MethodText.JsonOf(method.Settings),
        };

    private static double BytesPerParameter(OptimizerMethod method, Shape factor) =>
        (double)method.StateBytes(factor, new Dictionary<string, double>()) / factor.Count;

    private static string Options(OptimizerMethod method) =>
        string.Join(
            ' ',
            OptionNames(method)
                .Concat(method.Settings.Select(setting => $"{OptimizerOption.Group}.{setting.Name}"))
                .DefaultIfEmpty("none")
        );

    private static IEnumerable<string> OptionNames(OptimizerMethod method) =>
        OptimizerOption.Names.Where(option => method.Uses.HasFlag(option.Use)).Select(option => option.Name);

    private static string Text(double number) => number.ToString("0.##", CultureInfo.InvariantCulture);
}
