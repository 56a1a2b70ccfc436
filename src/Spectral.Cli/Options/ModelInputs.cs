using Spectral.Cli.Hosting;
using Spectral.Cli.Memory;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Chat;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Quantization;
using Spectral.Training.Routing;
using Spectral.Training.Tokenization;

namespace Spectral.Cli.Options;

/// <summary>A model folder and its tokenizer, opened and checked, before anything is on a device.</summary>
internal sealed class ModelInputs : IDisposable
{
    private const int EncodedAtOnce = 4096;
    private const string Pairs = "preference";
    private const string Classification = "classification";
    private const string NoPair = "no pair, expected prompt, chosen and rejected (preference) for this --loss";
    private const string NoAnswer =
        "neither a pair nor an answer with a label, expected prompt, chosen and rejected (preference), or prompt, "
        + "completion and label (labelled) for this --loss";
    private const string BothKinds = "an answer with a label beside pairs, expected one kind of records in a file";
    private const string ALabel =
        "an answer with a label, expected another record, --loss kto, or --format prompt-completion to ignore labels";
    private const string APair =
        "a pair (chosen and rejected), expected another record, or with finetune and eval a --loss that takes pairs";

    /// <summary>Opens a model folder and prints its warnings.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="directory">The folder.</param>
    /// <param name="weightsOptional">Whether a folder without weights is accepted.</param>
    /// <param name="quantization">The form in which linear layers are kept; null: as they are stored.</param>
    /// <param name="mayClassify">Whether a model with a head for classes or a number is accepted.</param>
    /// <exception cref="InputException">
    /// A file in the folder is missing or not valid, or the model does not predict tokens.
    /// </exception>
    public ModelInputs(
        CommandContext context,
        string directory,
        bool weightsOptional = false,
        BaseQuantization? quantization = null,
        bool mayClassify = false
    )
    {
        if (!mayClassify)
            RequireTokens(ModelConfig.Load(directory), directory);
        Tokenizer = BpeTokenizer.Load(directory);
        Folder = context.OpenModel(directory, weightsOptional, quantization);
        context.Warn(Tokenizer.Warnings);
        if (Folder.Config.Classifier is not null)
        {
            EndTokens = [];
            return;
        }

        var ends = Training.Generation.EndTokens.Of(Folder, Tokenizer);
        EndTokens = ends.Ids;
        context.Warn(ends.Warnings);
    }

    /// <summary>Refuses a model with a head for classes or a number, for a command that needs tokens.</summary>
    /// <exception cref="InputException">The model does not predict tokens.</exception>
    public static void RequireTokens(ModelConfig config, string directory)
    {
        if (config.Classifier is not { } classifier)
            return;
        string gives = classifier switch
        {
            { IsRegression: true } => "a number for a text",
            { Kind: ClassifierKind.Tokens } => "classes of words",
            _ => "classes of texts",
        };
        throw new InputException(
            $"{Path.Combine(directory, "config.json")}: the model gives {gives}, expected one that predicts tokens "
                + "(finetune, eval and merge take both)"
        );
    }

    public ModelFolder Folder { get; }

    public BpeTokenizer Tokenizer { get; }

    /// <summary>The tokens that end a text; records are closed with the first of them.</summary>
    public IReadOnlyList<int> EndTokens { get; }

    /// <summary>
    /// The number of positions that a soft prompt takes before every record; <see cref="CheckAdapter"/> raises it to
    /// that of the adapter.
    /// </summary>
    public int VirtualTokens { get; set; }

    /// <summary>Checks that an adapter fits this model, before anything is loaded, and prints its warnings.</summary>
    /// <exception cref="InputException">The adapter is not valid, or was made for another model.</exception>
    public void CheckAdapter(CommandContext context, string? directory)
    {
        if (directory is null)
            return;
        using var adapter = AdapterReader.OfAny(directory, Folder.Config);
        context.Warn(adapter.Warnings);
        if (adapter.DoubtOf(Folder) is { } doubt)
            context.Terminal.Warn(doubt);
        VirtualTokens = Math.Max(VirtualTokens, adapter.VirtualTokens);
    }

    /// <summary>
    /// Checks that an adapter, or several experts of a folder, fit this model, and prints their warnings.
    /// </summary>
    /// <returns>The experts; null: the folder is one adapter, or there is none.</returns>
    /// <exception cref="InputException">An adapter is not valid, or was made for another model.</exception>
    public ExpertFolder? CheckExperts(CommandContext context, string? directory)
    {
        if (directory is null || !ExpertFolder.IsOne(directory))
        {
            CheckAdapter(context, directory);
            return null;
        }

        RequireOneAdapter();
        var experts = ExpertFolder.Open(directory);
        foreach (Expert expert in experts.Experts)
            CheckAdapter(context, expert.Directory);
        return experts;
    }

    private void RequireOneAdapter()
    {
        if (Folder.Config.Classifier is not null)
            throw new InputException("--adapter: several adapters, expected one for a model that classifies");
    }

    /// <summary>Checks that several adapters fit this model, and prints their warnings.</summary>
    /// <exception cref="InputException">
    /// One is not valid, was made for another model, or is a folder of several.
    /// </exception>
    public void CheckSet(CommandContext context, IReadOnlyList<(string Name, string Directory)> adapters)
    {
        if (adapters.Count > 0)
            RequireOneAdapter();
        foreach ((string _, string directory) in adapters)
        {
            if (ExpertFolder.IsOne(directory))
                throw new InputException($"{directory}: a folder of experts, expected one adapter beside others");
            CheckAdapter(context, directory);
        }
    }

    /// <summary>Reads and encodes a data file or a folder of them, and warns if records had to be cut.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="file">The file or folder.</param>
    /// <param name="maxLength">The largest number of tokens of a record.</param>
    /// <param name="format">The format of the records; null: each has the one whose keys it has.</param>
    /// <param name="trainOn">Which tokens of conversations carry loss.</param>
    /// <param name="packs">Whether records are joined to sequences, for which none is cut.</param>
    /// <param name="takes">Which records are expected.</param>
    /// <param name="adapters">The adapters that records may name; null: what they name is ignored.</param>
    /// <exception cref="InputException">The file or one of its records is not valid.</exception>
    public EncodedRecord[] Encode(
        CommandContext context,
        string file,
        int maxLength,
        RecordFormat? format,
        TrainOn trainOn = TrainOn.Assistant,
        bool packs = false,
        RecordKind takes = RecordKind.Texts,
        IReadOnlyCollection<string>? adapters = null
    )
    {
        if (Folder.Config.Classifier is not null)
            return EncodeClassified(context, file, maxLength, format, takes);
        if (EndTokens.Count == 0)
        {
            throw new InputException(
                $"{Path.Combine(Folder.Directory, "config.json")}: no eos_token_id; expected the id of the token that "
                    + "ends a text"
            );
        }

        if (packs && VirtualTokens > 0)
        {
            throw new InputException(
                $"--packing: the adapter puts {VirtualTokens} virtual tokens before each record, which records that "
                    + "are "
                    + "joined have no place for; expected no --packing"
            );
        }

        int positions = Folder.Config.LongestSequence - VirtualTokens;
        int length = Math.Min(maxLength, positions);
        int shortest = Tokenizer.PrefixIds.Count + 2;
        if (positions < shortest)
        {
            throw new InputException(
                $"{VirtualTokens} virtual tokens leave {positions} of the model's {Folder.Config.LongestSequence} "
                    + $"positions, expected at least {shortest} for a record"
            );
        }

        if (length < shortest)
        {
            throw new InputException(
                OptionTypes.Complaint("--max-length", $"{length}", $"at least {shortest} with this tokenizer")
            );
        }

        if (takes == RecordKind.Pairs)
            format ??= RecordFormats.Find(Pairs);
        // In parts, so that a text is not kept beside its tokens.
        ChatFormat? chat = null;
        bool? isLabelled = null;
        List<EncodedRecord> all = [];
        foreach (TrainingRecord[] read in RecordReader.Read(file, format).Chunk(EncodedAtOnce))
        {
            isLabelled ??= read[0].Label is not null;
            foreach (TrainingRecord record in read)
            {
                if (Complaint(record, takes, isLabelled.Value) is { } complaint)
                    throw new InputException($"{record.Place}: {complaint}");
                RequireKnown(adapters, record.Adapter, record.Place);
            }

            if (chat is null && Array.Exists(read, record => record.Chat is not null))
                chat = ChatFormat.Load(Folder.Directory);
            EncodedRecord[] part = RecordEncoder.EncodeAll(read, Tokenizer, EndTokens, length, chat, trainOn);
            if (packs && Array.FindIndex(part, record => record.Cut) is var cutOff && cutOff >= 0)
            {
                throw new InputException(
                    $"{read[cutOff].Place}: more than {length} tokens, expected at most that many with --packing, "
                        + "which "
                        + "splits no record"
                );
            }

            all.AddRange(adapters is null ? part.Select(record => record with { Adapter = null }) : part);
        }

        EncodedRecord[] records = [.. all];
        int cut = records.Count(record => record.Cut);
        if (cut > 0)
        {
            context.Terminal.Warn(
                $"{file}: {cut} of {records.Length} records are longer than {length} tokens and were cut from the left"
            );
        }

        return records;
    }

    /// <summary>Reads and encodes texts with labels, for a model with a head for classes or a number.</summary>
    private EncodedRecord[] EncodeClassified(
        CommandContext context,
        string file,
        int maxLength,
        RecordFormat? format,
        RecordKind takes
    )
    {
        if (takes is RecordKind.Pairs or RecordKind.Answers)
            throw new InputException("--loss: a model that classifies has no pairs of answers, expected no such loss");
        RecordFormat classification = RecordFormats.Find(Classification);
        if (format is not null && format != classification)
            throw new InputException($"--format {format.Name}: expected {Classification} for a model that classifies");
        int length = Math.Min(maxLength, Folder.Config.LongestSequence);
        List<EncodedRecord> all = [];
        foreach (TrainingRecord[] read in RecordReader.Read(file, classification).Chunk(EncodedAtOnce))
        {
            EncodedRecord[] part = ClassificationEncoder.EncodeAll(read, Tokenizer, Folder.Config, length);
            all.AddRange(part.Select(record => record with { Adapter = null }));
        }

        int cut = all.Count(record => record.Cut);
        if (cut > 0)
        {
            context.Terminal.Warn(
                $"{file}: {cut} of {all.Count} records are longer than {length} tokens and were cut at their ends"
            );
        }

        return [.. all];
    }

    /// <summary>Loads the model with frozen weights.</summary>
    /// <exception cref="InputException">The device has too little memory for the model.</exception>
    /// <param name="device">The device.</param>
    /// <param name="type">The compute type.</param>
    /// <param name="shards">The ranks that each keep a part of it; null: the device has all.</param>
    public CausalLanguageModel Load(Device device, DType type, RankGroup? shards = null)
    {
        RequireMemory(device, type.Size(), Folder.QuantizedWeights, shards?.Count ?? 1);
        return CausalLanguageModel.Load(Folder, device, type, shards: shards);
    }

    /// <summary>
    /// Loads the model with all weights trainable: those of the folder, or random ones if it has none.
    /// </summary>
    /// <exception cref="InputException">The device has too little memory for the model.</exception>
    /// <param name="device">The device.</param>
    /// <param name="type">The compute type.</param>
    /// <param name="seed">The seed of random weights.</param>
    /// <param name="shards">The ranks that each keep a part of it; null: the device has all.</param>
    public CausalLanguageModel LoadToTrain(Device device, DType type, ulong seed, RankGroup? shards = null)
    {
        // The master, its gradient and two moments in F32, and a copy in the compute type if that is not F32.
        RequireMemory(device, 16 + (type == DType.F32 ? 0 : type.Size()), ranks: shards?.Count ?? 1);
        return Folder.HasWeights
            ? CausalLanguageModel.Load(Folder, device, type, trainWeights: true, shards)
            : CausalLanguageModel.Initialize(Folder.Config, device, type, seed, shards: shards);
    }

    public void Dispose() => Folder.Dispose();

    /// <summary>
    /// Refuses a model that is larger than the device's memory. A config can claim any size, and asking the system for
    /// memory that it does not have may end other programs.
    /// </summary>
    private void RequireMemory(Device device, int bytesPerParameter, long quantized = 0, int ranks = 1)
    {
        long parameters = Folder.Config.ParameterCount / ranks;
        long memory = Math.Min(device.TotalMemory, device.Memory.Limit ?? long.MaxValue);
        string room = memory == device.TotalMemory ? device.Name : "--max-memory";
        if (parameters - quantized > (memory - (quantized / 2)) / bytesPerParameter)
        {
            throw new InputException(
                $"{Path.Combine(Folder.Directory, "config.json")}: {parameters} parameters"
                    + (quantized > 0 ? $", {quantized} of them quantised and the others" : "")
                    + $" at {bytesPerParameter} bytes each, "
                    + $"{MemorySize.Text((parameters - quantized) * bytesPerParameter + quantized / 2)}; "
                    + $"expected a model that fits into the {MemorySize.Text(memory)} of {room}"
            );
        }
    }

    /// <summary>Refuses a record that names an adapter which is not attached.</summary>
    public static void RequireKnown(IReadOnlyCollection<string>? adapters, string? name, string place)
    {
        if (adapters is null || name is null || adapters.Contains(name))
            return;
        throw new InputException(
            $"{place}: adapter {InputText.Quote(name)}, expected one of "
                + $"{string.Join(", ", adapters.Select(known => InputText.Quote(known)))} (--adapter), or none for the "
                + "base"
        );
    }

    /// <summary>Says what is wrong with a record for a loss; null: nothing.</summary>
    private static string? Complaint(TrainingRecord record, RecordKind takes, bool isLabelled) =>
        takes switch
        {
            RecordKind.Texts when record.Rejected is not null => APair,
            RecordKind.Texts when record.Label is not null => ALabel,
            RecordKind.Pairs when record.Rejected is null => NoPair,
            RecordKind.Answers when record.Rejected is null && record.Label is null => NoAnswer,
            RecordKind.Answers when record.Label is not null != isLabelled => BothKinds,
            _ => null,
        };
}
