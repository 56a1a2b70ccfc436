using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Data;

namespace Spectral.Cli.Options;

/// <summary>
/// --batch, --max-length and --format, for every command that runs records through a model without training.
/// </summary>
/// <param name="format">The option --format of a command that gives it more values; null: the usual one.</param>
internal sealed class EvaluationOptions(RecordFormatOption? format = null)
{
    public Option<int> Batch { get; } =
        OptionTypes.Integer("--batch", "Records per batch; it changes results only by rounding.", 8, 1, 65536);

    public Option<int> MaxLength { get; } =
        OptionTypes.Integer(
            "--max-length",
            "Maximum number of tokens per record; longer records are cut from the left.",
            512,
            2,
            1 << 20
        );

    private readonly RecordFormatOption _format = format ?? new();

    public Option[] All => [Batch, MaxLength, _format.Option];

    /// <summary>Returns the options on records that are given, without a --format that is that of the result.</summary>
    public Option[] OnRecords(CommandContext context) => _format.IsOfResult(context) ? [Batch, MaxLength] : All;

    /// <summary>Reads and encodes a data file.</summary>
    /// <exception cref="Training.IO.InputException">The file or one of its records is not valid.</exception>
    public EncodedRecord[] Encode(
        CommandContext context,
        ModelInputs inputs,
        string file,
        TrainOn trainOn = TrainOn.Assistant,
        bool packs = false,
        RecordKind takes = RecordKind.Texts,
        IReadOnlyCollection<string>? adapters = null
    ) => inputs.Encode(context, file, context.Get(MaxLength), _format.Read(context), trainOn, packs, takes, adapters);

    /// <summary>Says how the command would need less memory, should it run out.</summary>
    public void SaveMemory(CommandContext context)
    {
        if (context.Get(Batch) > 1)
            context.SavesMemory.Add($"--batch {context.Get(Batch) / 2}");
        if (context.Get(MaxLength) > 2)
            context.SavesMemory.Add($"--max-length {context.Get(MaxLength) / 2}");
    }
}
