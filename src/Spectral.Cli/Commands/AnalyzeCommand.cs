using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Cli.Spectra;
using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Commands;

internal sealed class AnalyzeCommand : SpectralCommand
{
    private static readonly SpectraOptions Defaults = new();

    private readonly Option<string> _baseModel = OptionTypes.RequiredPath(
        "--base",
        "Model folder before tuning.",
        "DIR"
    );
    private readonly Option<string?> _tuned = OptionTypes.Path("--tuned", "Model folder after tuning.", "DIR");
    private readonly Option<string?> _adapter = OptionTypes.Path(
        "--adapter",
        "Adapter to apply: to the base, or to --tuned if both are given.",
        "DIR"
    );
    private readonly Option<string> _target = OptionTypes.Targets(
        "Layers to compare: names or ends of names, separated by commas; or all-linear; or a regular expression "
            + "that matches full names."
    );
    private readonly Option<int> _topK = OptionTypes.Integer(
        "--top-k",
        "Number of leading singular triplets that count as the top in verdicts and summaries.",
        Defaults.TopK,
        1,
        65536
    );
    private readonly Option<string> _ranks = new("--ranks")
    {
        Description =
            "Sizes of leading subspaces to compare, separated by commas; n/4 is a quarter of the smaller dimension.",
        HelpName = "K,…",
        DefaultValueFactory = _ => "1,4,16,64,n/4",
        CustomParser = result =>
        {
            string value = OptionTypes.Value(result);
            if (!Parts(value).All(part => part == Quarter || Size(part) is not null))
            {
                result.AddError(
                    OptionTypes.Complaint("--ranks", value, "whole numbers of at least 1, or n/4, separated by commas")
                );
            }

            return value;
        },
    };
    private readonly Option<string> _svd = OptionTypes.Choice(
        "--svd",
        "How singular values are computed: exact (all of them, in F64) or randomized (the first --rank, from a "
            + "random sketch); auto is exact for matrices whose smaller dimension is at most 512.",
        "auto",
        "auto",
        "exact",
        "randomized"
    );
    private readonly Option<int> _rank = OptionTypes.Integer(
        "--rank",
        "Number of singular triplets that the randomized method computes.",
        Defaults.RandomizedRank,
        2,
        65536
    );
    private readonly Option<int> _draws = OptionTypes.Integer(
        "--draws",
        "Number of random updates of each kind to compare with; 0 leaves out z-scores and verdicts.",
        Defaults.Draws,
        0,
        100_000
    );
    private readonly Option<ulong> _seed = OptionTypes.Seed("Random seed for updates and sketches.");
    private readonly Option<string> _output = OptionTypes.RequiredPath("--out", "HTML page to write.", "FILE");
    private readonly Option<string?> _csv = OptionTypes.Path(
        "--csv",
        "CSV file to write, with one row per matrix.",
        "FILE"
    );
    private readonly Option<bool> _overwrite = OptionTypes.Flag(
        "--overwrite",
        "Replace existing --out and --csv files, and files in --mitigate and --principal."
    );
    private readonly AnalyzeMitigation _mitigation = new();
    private readonly AnalyzePrincipal _principal = new();
    private readonly AnalyzeTrace _trace = new();
    private readonly AnalyzeForgetting _forgetting = new();
    private readonly RecordFormatOption _format = new();
    private readonly DeviceOptions _device = new();

    private const string Quarter = "n/4";

    private static readonly string[] Columns =
    [
        "module",
        "matrices",
        "change",
        "growth of top",
        "z",
        "top amplified",
        "top turned",
        "rest stable",
    ];

    public AnalyzeCommand()
        : base(
            "analyze",
            "Shows what tuning did to the singular values and vectors of the weights.",
            "spectral analyze --base base-model --tuned tuned-model --out spectra.html",
            "spectral analyze --base base-model --adapter adapter --out spectra.html --csv spectra.csv --json",
            "spectral analyze --base base-model --tuned tuned-model --out spectra.html --mitigate mitigated-model",
            "spectral analyze --base base-model --adapter rank-1-adapter --out spectra.html --trace data.jsonl"
        )
    {
        Details =
            "The page has singular values and vectors before and after, where the update lies, intruder dimensions, "
            + "and how all of this compares with random updates of the same size. With --dtype bf16, the weights "
            + "before and after are rounded to it first; otherwise they are compared as stored.";
        AddOptions([
            _baseModel,
            _tuned,
            _adapter,
            _target,
            _topK,
            _ranks,
            _svd,
            _rank,
            _draws,
            _seed,
            _output,
            _csv,
            .. _mitigation.All,
            .. _principal.All,
            .. _trace.All,
            .. _forgetting.All,
            _format.Option,
            _overwrite,
            .. _device.All,
        ]);
    }

    public override void Execute(CommandContext context)
    {
        string? tunedFolder = context.Get(_tuned);
        string? adapterFolder = context.Get(_adapter);
        if (tunedFolder is null && adapterFolder is null)
            throw new InputException("--tuned DIR, --adapter DIR: expected at least one of the two");
        using var page = new OutputFile(
            "--out",
            context.Get(_output),
            context.Get(_overwrite),
            context.Get(_baseModel),
            tunedFolder,
            adapterFolder
        );
        using OutputFile? table = context.Get(_csv) is { } given
            ? new OutputFile(
                "--csv",
                given,
                context.Get(_overwrite),
                context.Get(_baseModel),
                tunedFolder,
                adapterFolder
            )
            : null;
        if (table?.FullPath == page.FullPath)
            throw new InputException($"--csv \"{context.Get(_csv)}\": is the file of --out; expected another one");
        using AnalyzeMitigation.Work? mitigation = _mitigation.Prepare(
            context,
            context.Get(_overwrite),
            context.Get(_baseModel),
            tunedFolder,
            adapterFolder
        );
        using AnalyzePrincipal.Work? principal = _principal.Prepare(
            context,
            context.Get(_overwrite),
            context.Get(_baseModel),
            tunedFolder,
            adapterFolder
        );
        SpectraOptions options = Read(context);
        using ModelFolder before = context.OpenModel(context.Get(_baseModel));
        using ModelFolder? after = tunedFolder is null ? null : context.OpenModel(tunedFolder);
        using var analysis = new SpectraAnalysis(
            before,
            after ?? before,
            adapterFolder,
            AdapterTargets.Parse(context.Get(_target)),
            options,
            mitigation?.Options,
            principal?.Options
        );
        context.Warn(analysis.Warnings);

        // The adapter's base is the tuned model if both are given.
        string untuned = adapterFolder is null ? context.Get(_baseModel) : tunedFolder ?? context.Get(_baseModel);
        using AnalyzeTrace.Work? trace = _trace.Prepare(context, untuned, adapterFolder, _format);
        using AnalyzeForgetting.Work? forgetting = _forgetting.Prepare(
            context,
            untuned,
            adapterFolder ?? tunedFolder!,
            _format
        );
        if (trace is null && forgetting is null)
            context.RefuseWithout("--trace FILE or --forgetting FILE", _format.Option);

        page.Claim();
        table?.Claim();
        mitigation?.Claim();
        principal?.Claim();
        using Device computing = _device.Open(context);
        StoredType? rounding = _device.Wants(context, DType.BF16) ? StoredType.BF16 : null;
        TraceReport? traces = trace?.Run(context, computing);
        ForgettingReport? forgotten = forgetting?.Run(context, computing);
        ModelSpectra spectra = context.Terminal.Track(
            "analyzing",
            analysis.Count,
            progress =>
                analysis.Run(computing, rounding, (done, name) => progress.Report(done, name), context.Cancellation)
        );
        var report = new SpectraReport(
            context.Get(_baseModel),
            tunedFolder,
            adapterFolder,
            computing.ToString(),
            options,
            spectra
        )
        {
            Mitigation = mitigation?.Run(context, analysis, computing),
            Principal = principal?.Run(context, analysis, computing),
            Trace = traces,
            Forgetting = forgotten,
        };
        page.Write(SpectraPage.Render(report));
        if (table is not null)
            AtomicFile.Write(table.FullPath, stream => SpectraTable.Write(spectra, stream));
        context.Finish(
            SpectraJson.Of(report),
            terminal =>
            {
                terminal.Table(
                    Columns,
                    [.. spectra.Modules.Select(module => Row(module, module.Module!)), Row(spectra.Model, "all")]
                );
                if (report.Mitigation is { } scaled)
                    terminal.Line(scaled.InWords(spectra.Matrices.Count));
                if (report.Principal is { } cut)
                    terminal.Line(cut.InWords());
                terminal.Line($"written to {page.FullPath}");
            }
        );
    }

    private SpectraOptions Read(CommandContext context)
    {
        string[] sizes = Parts(context.Get(_ranks));
        if (context.IsGiven(_rank) && context.Get(_svd) == "exact")
        {
            throw new InputException(
                $"--rank {context.Text(_rank)}: --svd exact computes all triplets; expected --svd randomized or auto"
            );
        }

        if (context.Get(_draws) == 1)
            throw new InputException(OptionTypes.Complaint("--draws", "1", "0 or at least 2"));
        return new SpectraOptions
        {
            TopK = context.Get(_topK),
            Ranks = [.. sizes.Where(part => part != Quarter).Select(part => Size(part)!.Value)],
            IncludesQuarter = sizes.Contains(Quarter),
            Svd = Enum.Parse<SvdMethod>(context.Get(_svd), ignoreCase: true),
            RandomizedRank = context.Get(_rank),
            Draws = context.Get(_draws),
            Seed = context.Get(_seed),
        };
    }

    private static string[] Row(SpectraSummary summary, string name) =>
        [
            name,
            Text($"{summary.Matrices}"),
            Text($"{summary.RelativeChange.Mean:P2}"),
            Text($"{summary.Amplification.Mean:0.000}"),
            double.IsNaN(summary.AmplificationZ.Mean) ? "" : Text($"{summary.AmplificationZ.Mean:0.0}"),
            Text($"{summary.AmplifiesTop.Holds}"),
            Text($"{summary.ReorientsTop.Holds}"),
            Text($"{summary.RestStable.Holds}"),
        ];

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string[] Parts(string list) => list.Split(',', StringSplitOptions.TrimEntries);

    private static int? Size(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int size) && size >= 1 ? size : null;
}
