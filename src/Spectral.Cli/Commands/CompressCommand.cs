using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Cli.Compression;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Compression;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

internal sealed class CompressCommand : SpectralCommand
{
    private readonly Option<string?> _method = new("--method")
    {
        Description = "How to compress; --list names the methods.",
        HelpName = "NAME",
        CustomParser = OptionTypes.Value,
    };
    private readonly Option<string?> _input = OptionTypes.Path(
        "--input",
        "Adapter, or for some methods tuned model, to compress.",
        "DIR"
    );
    private readonly Option<string?> _model = OptionTypes.Path(
        "--model",
        "Base model. Methods that compress a change of its weights need it, and so do adapters whose factors are "
            + "computed from them or whose files do not give the sizes of the layers.",
        "DIR"
    );
    private readonly Option<int?> _rank = OptionTypes.OptionalInteger(
        "--rank",
        "Rank to keep, in place of --energy; layers of a smaller rank keep theirs.",
        1,
        65536
    );
    private readonly Option<double> _energy = OptionTypes.Number(
        "--energy",
        "Share of each layer's squared Frobenius norm to keep, with the smallest rank that does.",
        0.99,
        energy => energy is > 0 and <= 1,
        "a number above 0 and at most 1"
    );
    private readonly SettingsOption _settings = new(
        "A setting of the method; may be given several times. `spectral compress --list --method NAME` lists the "
            + "settings."
    );
    private readonly Option<string?> _data = OptionTypes.Path(
        "--data",
        "Records, for methods that can calibrate on them.",
        "FILE"
    );
    private readonly EvaluationOptions _evaluation = new();
    private readonly Option<bool> _list = OptionTypes.Flag(
        "--list",
        "List the compression methods; with --method, show that one in detail."
    );
    private readonly Option<string?> _out = OptionTypes.Path("--out", "Folder for the result.", "DIR");
    private readonly Option<bool> _overwrite = OptionTypes.Flag(
        "--overwrite",
        "Replace files in --out if it is not empty."
    );
    private readonly Option<string?> _page = OptionTypes.Path(
        "--page",
        "HTML page to write with sizes and errors of all layers.",
        "FILE"
    );
    private readonly ResultTypeOption _type = new(
        "is f32 for factors, and the type in the base for tensors that are kept whole"
    );
    private readonly DeviceOptions _device = new();

    public CompressCommand()
        : base(
            "compress",
            "Makes an adapter or the change of a tuned model smaller, and says what is lost.",
            "spectral compress --method lora-squeeze --input adapter --energy 0.99 --out smaller",
            "spectral compress --method lora-squeeze --input adapter --rank 8 --dtype bf16 --out smaller",
            "spectral compress --method delta-come --model base-model --input tuned-model --set bits=1 --out delta "
                + "--page delta.html",
            "spectral compress --method delta-come --model base-model --input tuned-model --data train.jsonl "
                + "--out delta",
            "spectral compress --list"
        )
    {
        Details =
            "The errors printed are relative: the Frobenius norm of what is lost of the change of the weights, over "
            + "that of the change. They do not count rounding to --dtype.";
        AddOptions([
            _method,
            _input,
            _model,
            _rank,
            _energy,
            _settings.Option,
            _data,
            .. _evaluation.All,
            _list,
            _out,
            _overwrite,
            _page,
            _type.Option,
            .. _device.WithoutType,
        ]);
    }

    public override void Execute(CommandContext context)
    {
        if (context.Get(_list))
        {
            string? named = context.Get(_method);
            new CompressionMethodList().Print(context, named is null ? null : CompressionMethods.Find(named));
            return;
        }

        CompressionMethod method = CompressionMethods.Find(Required(context, _method));
        string input = Required(context, _input);
        string output = Required(context, _out);
        var options = new CompressionOptions
        {
            Rank = context.Get(_rank),
            Energy = context.IsGiven(_energy) ? context.Get(_energy) : null,
            Type = _type.Read(context),
            Settings = _settings
                .Read(context, method.Name, [.. method.Settings.Select(setting => setting.Name)])
                .ToDictionary(
                    given => given.Name,
                    given => method.Settings.First(setting => setting.Name == given.Name).Parse(given.Value)
                ),
        };
        string? model = context.Get(_model);
        string? data = context.Get(_data);
        if (data is not null && !method.Uses.HasFlag(CompressionUses.Data))
            throw new InputException($"--data \"{data}\": {method.Name} looks at weights alone");
        if (data is null)
            context.RefuseWithout("--data FILE", _evaluation.All);
        else if (model is null)
            throw new InputException($"--data \"{data}\": expected --model DIR with it");
        using OutputFolder target = new(output, context.Get(_overwrite), [input, model, data]);
        using OutputFile? page = context.Get(_page) is { } path
            ? new OutputFile("--page", path, context.Get(_overwrite), [input, model, data])
            : null;
        using ModelInputs? calibration = data is not null ? new ModelInputs(context, model!) : null;
        if (calibration is not null)
        {
            _evaluation.SaveMemory(context);
            options = options with
            {
                Data = _evaluation.Encode(context, calibration, data!),
                Batch = context.Get(_evaluation.Batch),
            };
        }

        using ModelFolder? opened = model is not null && calibration is null ? context.OpenModel(model) : null;
        ModelFolder? folder = calibration?.Folder ?? opened;
        using Device device = _device.Open(context);
        target.Claim();
        page?.Claim();
        long start = Stopwatch.GetTimestamp();
        CompressionResult made = null!;
        context.Terminal.Track(
            "compress",
            100,
            bar =>
            {
                target.Fill(written =>
                    made = Compressor.Compress(
                        method,
                        input,
                        written,
                        options,
                        device,
                        folder,
                        progress => bar.Report(100L * progress.Done / progress.Total, progress.Layer),
                        context.Cancellation
                    )
                );
                return true;
            }
        );
        context.Warn(made.Warnings);
        if (page is not null)
        {
            string html = CompressionPage.Render(Path.GetFileName(target.FullPath), made, Settings(context, method));
            page.Write(html);
        }

        JsonObject result = CompressionReport.Json(made);
        result["out"] = target.FullPath;
        if (page is not null)
            result["page"] = page.FullPath;
        result["method"] = method.Name;
        result["seconds"] = JsonOutput.Number(Stopwatch.GetElapsedTime(start).TotalSeconds);
        result["device"] = device.ToString();
        context.Finish(result, terminal => CompressionReport.Print(terminal, made, target.FullPath, page));
    }

    private static string Required(CommandContext context, Option<string?> option) =>
        context.Get(option) ?? throw new InputException($"Option '{option.Name}' is required.");

    /// <summary>Lists the settings of the run for its page.</summary>
    private IEnumerable<(string, string)> Settings(CommandContext context, CompressionMethod method)
    {
        yield return ("method", $"{method.Name} ({method.Origin})");
        yield return ("input", context.Text(_input));
        if (context.IsGiven(_model))
            yield return ("model", context.Text(_model));
        if (context.IsGiven(_rank))
            yield return ("rank", context.Text(_rank));
        if (method.Uses.HasFlag(CompressionUses.Energy) && !context.IsGiven(_rank))
            yield return ("energy", context.Text(_energy));
        foreach (string given in context.Get(_settings.Option) ?? [])
            yield return ("set", given);
        if (context.IsGiven(_data))
        {
            yield return ("data", context.Text(_data));
            foreach (Option option in _evaluation.All)
                yield return (option.Name[2..], context.Text(option));
        }

        yield return ("dtype", context.Text(_type.Option));
    }
}
