// Writes all files that the sample needs, from a seed alone:
//
//   dotnet run samples/make-data.cs -- samples
//
//   base-model/config.json, generation_config.json, tokenizer.json   what `spectral pretrain` starts from
//   pretrain.jsonl, known.jsonl      records of the tasks that the base model learns, and held-out records of them
//   train.jsonl, eval.jsonl          records of the task that the base model does not know, for `spectral finetune`
//
// The same seed gives the same bytes on every machine: the random generator is in this file, and lines end with LF.

#:property PublishAot=false

using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

const int PretrainRecords = 60_000;
const int KnownRecords = 300;
const int TrainRecords = 3_000;
const int EvalRecords = 300;
const int Merges = 15; // with 256 bytes and the end token: a vocabulary of 272

if (args.Length != 1)
{
    Console.Error.WriteLine("usage: dotnet run samples/make-data.cs -- OUTDIR");
    return 2;
}

string model = Directory.CreateDirectory(Path.Combine(args[0], "base-model")).FullName;
var random = new SplitMix(seed: 20_240_501);

List<Sample> pretrain = Generate(PretrainRecords, random, [.. Tasks.Known], avoid: []);
List<Sample> known = Generate(KnownRecords, random, [.. Tasks.Known], avoid: Prompts(pretrain));
List<Sample> train = Generate(TrainRecords, random, [Tasks.Badge], avoid: []);
List<Sample> eval = GenerateFromOtherWords(EvalRecords, random, Tasks.Badge, train);

WriteRecords("pretrain.jsonl", pretrain);
WriteRecords("known.jsonl", known);
WriteRecords("train.jsonl", train);
WriteRecords("eval.jsonl", eval);

var tokenizer = ByteLevelBpe.Train(Tasks.Known.Select(task => task.Name + ": ->"), Merges);
Write(Path.Combine(model, "tokenizer.json"), tokenizer.ToJson());
Write(Path.Combine(model, "config.json"), ModelFiles.Config(tokenizer));
Write(Path.Combine(model, "generation_config.json"), ModelFiles.GenerationConfig(tokenizer));
return 0;

// Records with distinct prompts, none of them in `avoid`.
static List<Sample> Generate(int count, SplitMix random, TaskKind[] tasks, HashSet<string> avoid)
{
    var seen = new HashSet<string>(avoid);
    var records = new List<Sample>(count);
    while (records.Count < count)
    {
        TaskKind task = tasks[random.Next(tasks.Length)];
        Sample record = task.Make(Words.Draw(random, task.WordCount));
        if (seen.Add(record.Prompt))
            records.Add(record);
    }
    return records;
}

// Records that share no word with `others`, so that right answers cannot be memorized ones.
static List<Sample> GenerateFromOtherWords(int count, SplitMix random, TaskKind task, List<Sample> others)
{
    var used = others.SelectMany(record => record.Words).ToHashSet();
    var seen = new HashSet<string>();
    var records = new List<Sample>(count);
    while (records.Count < count)
    {
        Sample record = task.Make(Words.Draw(random, task.WordCount));
        if (!record.Words.Any(used.Contains) && seen.Add(record.Prompt))
            records.Add(record);
    }
    return records;
}

static HashSet<string> Prompts(List<Sample> records) => [.. records.Select(record => record.Prompt)];

void WriteRecords(string name, List<Sample> records)
{
    var text = new StringBuilder();
    foreach (Sample record in records)
    {
        var line = new JsonObject { ["prompt"] = record.Prompt, ["completion"] = record.Completion };
        text.Append(line.ToJsonString(Json.Compact)).Append('\n');
    }
    Write(Path.Combine(args[0], name), text.ToString());
}

static void Write(string path, string text) =>
    File.WriteAllText(path, text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));

/// <summary>A line of a data file, and the words it was made from.</summary>
sealed record Sample(string Prompt, string Completion, string[] Words);

/// <summary>A text task: its name, how many words it takes, and the answer to them.</summary>
sealed record TaskKind(string Name, int WordCount, Func<string[], string> Answer)
{
    public Sample Make(string[] words) => new($"{Name}: {string.Join(' ', words)} ->", " " + Answer(words), words);
}

static class Tasks
{
    public static readonly TaskKind[] Known =
    [
        new("copy", 2, words => string.Join(' ', words)),
        new("reverse", 1, words => Reverse(words[0])),
        new("reverse", 2, words => $"{Reverse(words[0])} {Reverse(words[1])}"),
        new("upper", 2, words => string.Join(' ', words).ToUpperInvariant()),
        new("swap", 2, words => $"{words[1]} {words[0]}"),
        new("first", 3, words => words[0]),
        new("last", 3, words => words[2]),
        new("double", 1, words => string.Concat(words[0].Select(letter => $"{letter}{letter}"))),
        new("vowels", 2, words => string.Concat(string.Concat(words).Where(Words.IsVowel))),
        new("count", 1, words => words[0].Length.ToString(CultureInfo.InvariantCulture)),
        new("initials", 3, words => string.Join('.', words.Select(word => char.ToUpperInvariant(word[0])))),
        new("join", 2, words => $"{words[0]}-{words[1]}"),
    ];

    /// <summary>The task that the base model does not know: it has seen neither its name nor such an answer.</summary>
    public static readonly TaskKind Badge = new(
        "badge",
        2,
        words => $"{Reverse(words[1]).ToUpperInvariant()}-{words[0][0]}"
    );

    private static string Reverse(string word) => new([.. word.Reverse()]);
}

/// <summary>Makes pronounceable words of two or three syllables without a meaning, about two million of them.</summary>
static class Words
{
    private const string Consonants = "bdfghklmnprstvz";
    private const string Vowels = "aeiou";
    private const string Endings = "lnrst";

    public static bool IsVowel(char letter) => Vowels.Contains(letter);

    public static string[] Draw(SplitMix random, int count)
    {
        string[] words = new string[count];
        for (int i = 0; i < count; i++)
            words[i] = Draw(random);
        return words;
    }

    private static string Draw(SplitMix random)
    {
        var word = new StringBuilder();
        for (int syllables = 2 + random.Next(2); syllables > 0; syllables--)
            word.Append(Consonants[random.Next(Consonants.Length)]).Append(Vowels[random.Next(Vowels.Length)]);
        if (random.Next(3) == 0)
            word.Append(Endings[random.Next(Endings.Length)]);
        return word.ToString();
    }
}

/// <summary>
/// Trains a byte-level byte-pair encoding with the GPT-2 alphabet; it is so small that pairs are counted anew after
/// each merge.
/// </summary>
sealed class ByteLevelBpe(List<string> vocabulary, List<string> merges)
{
    public const string EndToken = "<|end|>";

    public int EndTokenId => vocabulary.Count;

    public int VocabularySize => vocabulary.Count + 1;

    /// <summary>
    /// Learns merges from the names of tasks alone, so that the made-up words become tokens of about one letter, as the
    /// tasks are about letters. The most frequent pair is merged; of equally frequent ones, the first in code point
    /// order.
    /// </summary>
    public static ByteLevelBpe Train(IEnumerable<string> texts, int count)
    {
        var vocabulary = Enumerable.Range(0, 256).Select(value => Symbol((byte)value).ToString()).ToList();
        var merges = new List<string>();
        var pieces = texts
            .SelectMany(Split)
            .Select(piece => piece.Select(symbol => symbol.ToString()).ToList())
            .ToList();
        while (merges.Count < count)
        {
            (string left, string right) = pieces
                .SelectMany(piece => piece.Zip(piece.Skip(1)))
                .GroupBy(pair => pair)
                .OrderByDescending(group => group.Count())
                .ThenBy(group => group.Key.First, StringComparer.Ordinal)
                .ThenBy(group => group.Key.Second, StringComparer.Ordinal)
                .First()
                .Key;
            merges.Add($"{left} {right}");
            vocabulary.Add(left + right);
            foreach (List<string> piece in pieces)
            {
                for (int i = 0; i + 1 < piece.Count; i++)
                {
                    if (piece[i] != left || piece[i + 1] != right)
                        continue;
                    piece[i] = left + right;
                    piece.RemoveAt(i + 1);
                }
            }
        }
        return new ByteLevelBpe(vocabulary, merges);
    }

    public string ToJson()
    {
        var ids = new JsonObject();
        for (int i = 0; i < vocabulary.Count; i++)
            ids[vocabulary[i]] = i;
        ids[EndToken] = EndTokenId;
        var byteLevel = new JsonObject
        {
            ["type"] = "ByteLevel",
            ["add_prefix_space"] = false,
            ["trim_offsets"] = true,
            ["use_regex"] = true,
        };
        return new JsonObject
            {
                ["version"] = "1.0",
                ["truncation"] = null,
                ["padding"] = null,
                ["added_tokens"] = new JsonArray(
                    new JsonObject
                    {
                        ["id"] = EndTokenId,
                        ["content"] = EndToken,
                        ["single_word"] = false,
                        ["lstrip"] = false,
                        ["rstrip"] = false,
                        ["normalized"] = false,
                        ["special"] = true,
                    }
                ),
                ["normalizer"] = null,
                ["pre_tokenizer"] = byteLevel,
                ["post_processor"] = byteLevel.DeepClone(),
                ["decoder"] = byteLevel.DeepClone(),
                ["model"] = new JsonObject
                {
                    ["type"] = "BPE",
                    ["dropout"] = null,
                    ["unk_token"] = null,
                    ["continuing_subword_prefix"] = null,
                    ["end_of_word_suffix"] = null,
                    ["fuse_unk"] = false,
                    ["byte_fallback"] = false,
                    ["ignore_merges"] = false,
                    ["vocab"] = ids,
                    ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)merge)]),
                },
            }.ToJsonString(Json.Indented) + "\n";
    }

    // Splits "upper: ->" as the GPT-2 pattern does: into runs of letters or of other characters, each with at most one
    // space before it.
    private static IEnumerable<string> Split(string text)
    {
        int start = 0;
        while (start < text.Length)
        {
            int first = text[start] == ' ' ? start + 1 : start;
            int end = first + 1;
            bool letters = char.IsAsciiLetter(text[first]);
            while (end < text.Length && text[end] != ' ' && char.IsAsciiLetter(text[end]) == letters)
                end++;
            yield return string.Concat(Encoding.UTF8.GetBytes(text[start..end]).Select(Symbol));
            start = end;
        }
    }

    // Printable bytes are mapped to themselves, the other 68 in ascending order to the code points from 256.
    private static char Symbol(byte value) =>
        (char)(IsPrintable(value) ? value : 256 + Enumerable.Range(0, value).Count(other => !IsPrintable(other)));

    private static bool IsPrintable(int value) => value is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
}

static class ModelFiles
{
    public static string Config(ByteLevelBpe tokenizer) =>
        new JsonObject
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
            ["model_type"] = "llama",
            ["vocab_size"] = tokenizer.VocabularySize,
            ["hidden_size"] = 128,
            ["intermediate_size"] = 384,
            ["num_hidden_layers"] = 4,
            ["num_attention_heads"] = 4,
            ["num_key_value_heads"] = 2,
            ["head_dim"] = 32,
            ["hidden_act"] = "silu",
            ["max_position_embeddings"] = 128,
            ["rms_norm_eps"] = 1e-5,
            ["rope_theta"] = 10000.0,
            ["rope_scaling"] = null,
            ["attention_bias"] = false,
            ["mlp_bias"] = false,
            ["attention_dropout"] = 0.0,
            ["tie_word_embeddings"] = true,
            ["initializer_range"] = 0.02,
            ["bos_token_id"] = null,
            ["eos_token_id"] = tokenizer.EndTokenId,
            ["pad_token_id"] = tokenizer.EndTokenId,
            ["torch_dtype"] = "float32",
            ["use_cache"] = true,
        }.ToJsonString(Json.Indented) + "\n";

    public static string GenerationConfig(ByteLevelBpe tokenizer) =>
        new JsonObject
        {
            ["do_sample"] = false,
            ["eos_token_id"] = tokenizer.EndTokenId,
            ["pad_token_id"] = tokenizer.EndTokenId,
        }.ToJsonString(Json.Indented) + "\n";
}

static class Json
{
    // The relaxed encoder keeps "->" as it is, so that the data is readable.
    public static readonly JsonSerializerOptions Compact = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
    public static readonly JsonSerializerOptions Indented = new(Compact) { WriteIndented = true, NewLine = "\n" };
}

/// <summary>The generator SplitMix64; the framework's may change between versions.</summary>
sealed class SplitMix(ulong seed)
{
    private ulong _state = seed;

    public int Next(int below)
    {
        _state += 0x9E3779B97F4A7C15;
        ulong z = _state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        // Scaling the high bits needs no division, and the bias is below 2^-32.
        return (int)(((z ^ (z >> 31)) >> 32) * (ulong)below >> 32);
    }
}
