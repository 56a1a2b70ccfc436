using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Optim;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral methods --optimizers</c>: the optimizers, or one of them in detail.</summary>
/// <param name="rank">The number of columns of the factor that memory is counted for.</param>
internal sealed class OptimizerList(int rank) : MethodList<OptimizerMethod>
{
    private const int Rows = 4096;

    private readonly Shape _factor = (Rows, rank);

    protected override IEnumerable<OptimizerMethod> All => OptimizerMethods.All;
    protected override string[] Columns => ["name", "bytes/parameter", "options", "source"];
    protected override int FirstText => 2;
    protected override string Key => "optimizers";
    protected override string Hint =>
        $"state for a factor of {_factor}, beside 8 bytes a parameter for master and gradient; "
        + "`spectral methods --optimizers NAME` shows one optimizer in detail";

    protected override string[] Row(OptimizerMethod method) =>
        [method.Name, Memory(method), Options(method), method.Origin];

    protected override IEnumerable<(string Name, string Value)> Details(OptimizerMethod method) =>
        [
            ("state", $"{Text(BytesPerParameter(method))} bytes a parameter for a factor of {_factor}{OfPair(method)}"),
            ("options", Options(method)),
            ("--graph", method.GraphRefusal is { } refusal ? $"no: it {refusal}" : "yes"),
        ];

    protected override IEnumerable<string> Remarks(OptimizerMethod method)
    {
        if (method.KeepsAverage)
            yield return "an average that the optimizer keeps is evaluated and saved";
    }

    protected override void AddFacts(JsonObject json, OptimizerMethod method)
    {
        json["bytes_per_parameter"] = JsonOutput.Number(BytesPerParameter(method));
        if (method.PairStateBytes is { } ofPair)
            json["bytes_per_pair"] = ofPair;
        json["options"] = JsonOutput.Array(OptionNames(method));
        json["graph"] = method.GraphRefusal is null;
        json["keeps_average"] = method.KeepsAverage;
        json["needs_gradients"] = method.NeedsGradients;
    }

    private double BytesPerParameter(OptimizerMethod method) =>
        (double)method.StateBytes(_factor, new Dictionary<string, double>()) / _factor.Count;

    private string Memory(OptimizerMethod method) => $"{Text(BytesPerParameter(method))}{OfPair(method)}";

    private static string OfPair(OptimizerMethod method) =>
        method.PairStateBytes is { } bytes ? $"; {bytes} a pair" : "";

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
