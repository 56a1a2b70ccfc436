using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Spectra;
using Spectral.Kernels;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Traces;

namespace Spectral.Cli.Commands;

/// <summary>--trace of <c>analyze</c>: the scalars of an adapter's rank-1 modules, token by token.</summary>
internal sealed class AnalyzeTrace
{
    private readonly Option<string?> _data = OptionTypes.Path(
        "--trace",
        "Records over which to follow the modules of rank 1 of --adapter: the number that each adds its direction "
            + "with, token by token.",
        "FILE"
    );
    private readonly Option<int> _shown = OptionTypes.Integer(
        "--trace-records",
        "Number of records that are shown token by token.",
        8,
        0,
        10_000
    );
    private readonly Option<int> _maxLength = OptionTypes.Integer(
        "--trace-length",
        "Maximum number of tokens per record of --trace; longer records are cut from the left.",
        512,
        2,
        1 << 20
    );

    public Option[] All => [_data, _shown, _maxLength];

    /// <summary>Opens what is needed; null without --trace.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="model">The model of the adapter.</param>
    /// <param name="adapter">The adapter to trace.</param>
    /// <param name="format">The option for the format of the records.</param>
    /// <exception cref="InputException">
    /// There is no adapter, a file is not valid, or one of the other options is given without --trace.
    /// </exception>
    public Work? Prepare(CommandContext context, string model, string? adapter, RecordFormatOption format)
    {
        if (context.Get(_data) is not { } data)
        {
            context.RefuseWithout("--trace FILE", _shown, _maxLength);
            return null;
        }

        if (adapter is null)
            throw new InputException($"--trace {data}: expected --adapter DIR, the adapter to follow");
        var inputs = new ModelInputs(context, model);
        try
        {
            EncodedRecord[] records = inputs.Encode(context, data, context.Get(_maxLength), format.Read(context));
            return new Work(inputs, adapter, data, records, context.Get(_shown));
        }
        catch
        {
            inputs.Dispose();
            throw;
        }
    }

    /// <summary>An adapter with its model and records, ready to be traced.</summary>
    internal sealed class Work(ModelInputs inputs, string adapter, string data, EncodedRecord[] records, int shown)
        : IDisposable
    {
        /// <summary>Runs the adapted model, in F32, on all records.</summary>
        /// <exception cref="InputException">The adapter does not fit, or has no module of rank 1.</exception>
        public TraceReport Run(CommandContext context, Device device)
        {
            using CausalLanguageModel model = inputs.Load(device, DType.F32);
            RankOneTraces traces = context.Terminal.Track(
                "tracing",
                records.Length,
                progress =>
                    RankOneTracer.Trace(
                        model,
                        inputs.Folder,
                        adapter,
                        records,
                        shown,
                        done => progress.Report(done),
                        context.Cancellation
                    )
            );
            return TraceReport.Of(data, traces, inputs.Tokenizer);
        }

        public void Dispose() => inputs.Dispose();
    }
}
