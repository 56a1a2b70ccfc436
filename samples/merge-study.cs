// The study of merging in docs/study.md: three adapters, or three copies of the sample model, learn three tasks that it
// does not know, and each merge method that needs no data makes one model of the three. Build first (./build.sh), then
//
//   dotnet run samples/merge-study.cs                    about a quarter of an hour on two cores
//
// The records of the two further tasks are made from the words of samples/train.jsonl and samples/eval.jsonl.
// Everything is kept in artifacts/merge-study; a second call makes only what is missing. The last lines printed are the
// table of docs/study.md.

#:property PublishAot=false

using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string root = Path.GetFullPath(
    Path.Combine(AppContext.GetData("EntryPointFileDirectoryPath") as string ?? "samples", "..")
);
var study = new MergeStudy(root);
JsonNode[][] merges =
[
    .. Tuning.All.Select(tuning =>
        (JsonNode[])[.. Enumerable.Range(0, MergeStudy.Seeds).Select(seed => study.Merge(tuning, seed))]
    ),
];
Console.Write(MergeTable.Of(merges));

/// <summary>A way to learn a task: the command and its options.</summary>
sealed record Tuning(string Name, string Command)
{
    public static readonly Tuning[] All =
    [
        new("lora", "finetune --adapter lora --rank 4 --alpha 8 --lr 1e-2"),
        new("full", "pretrain --lr 1e-3"),
    ];
}

/// <summary>A task on two words: the name in the prompt, and the answer.</summary>
sealed record WordTask(string Name, Func<string, string, string> Answer)
{
    /// <summary>Each step of an answer belongs to a task of the base model, the answer as a whole to none.</summary>
    public static readonly WordTask[] All =
    [
        new("badge", (first, second) => $"{Reverse(second).ToUpperInvariant()}-{first[0]}"),
        new("mirror", (first, second) => $"{first}-{Reverse(first)}"),
        new("stamp", (first, second) => $"{first[0]}.{second.ToUpperInvariant()}"),
    ];

    private static readonly JsonSerializerOptions Plain = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Makes the task's record of the words in a record of the first task.</summary>
    public string Record(string line)
    {
        string[] words = ((string)JsonNode.Parse(line)!["prompt"]!).Split(' ');
        (string first, string second) = (words[1], words[2]);
        return new JsonObject
        {
            ["prompt"] = $"{Name}: {first} {second} ->",
            ["completion"] = " " + Answer(first, second),
        }.ToJsonString(Plain);
    }

    private static string Reverse(string word) => new([.. word.Reverse()]);
}

/// <summary>Runs commands, and keeps their results in a folder so that none is run twice.</summary>
sealed class MergeStudy(string root)
{
    public const int Seeds = 3;
    private const string Model = "--model samples/base-model";
    private const string Device = "--device cpu";
    private const string Training = "--steps 300 --batch 16 --warmup 20";

    private readonly string _folder = Directory.CreateDirectory(Path.Combine(root, "artifacts/merge-study")).FullName;

    /// <summary>Learns each task with a seed, and measures every merge of the three.</summary>
    public JsonNode Merge(Tuning tuning, int seed)
    {
        var inputs = new StringBuilder();
        foreach (WordTask task in WordTask.All)
        {
            string train = Records(task, "train");
            string expert = Path.Combine(_folder, $"{tuning.Name}-{task.Name}-{seed}");
            Kept(
                expert + ".json",
                $"{tuning.Command} {Model} --data {train} --out {expert} --overwrite --seed {seed} {Training} {Device}"
            );
            inputs.Append($" --input {expert} --eval {task.Name}={Records(task, "eval")}");
        }

        JsonNode merged = Kept(
            Path.Combine(_folder, $"{tuning.Name}-merges-{seed}.json"),
            $"merge {Model} --method all{inputs} --seed {seed} --overwrite {Device} "
                + $"--page {_folder}/{tuning.Name}-merges-{seed}.html"
        );
        return merged["evaluation"]!;
    }

    private string Records(WordTask task, string split)
    {
        string path = Path.Combine(_folder, $"{task.Name}-{split}.jsonl");
        File.WriteAllLines(path, File.ReadLines(Path.Combine(root, $"samples/{split}.jsonl")).Select(task.Record));
        return path;
    }

    /// <summary>Returns the JSON object of a command: from its file if that exists, or else by running it.</summary>
    private JsonNode Kept(string path, string command)
    {
        if (!File.Exists(path))
        {
            Console.Error.WriteLine(Path.GetRelativePath(_folder, path));
            using Process process = Process.Start(
                new ProcessStartInfo(Path.Combine(root, "artifacts/bin/spectral"), [.. command.Split(' '), "--json"])
                {
                    RedirectStandardOutput = true,
                    WorkingDirectory = root,
                }
            )!;
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
                throw new InvalidOperationException($"spectral {command}: exit code {process.ExitCode}");
            File.WriteAllText(path + ".partial", output);
            File.Move(path + ".partial", path, overwrite: true);
        }

        return JsonNode.Parse(File.ReadAllText(path))!;
    }
}

/// <summary>The table of docs/study.md: means over the seeds, with the standard deviation of the sample.</summary>
static class MergeTable
{
    /// <param name="tunings">The evaluations of `spectral merge --eval` for each way to tune and each seed.</param>
    public static string Of(JsonNode[][] tunings)
    {
        var text = new StringBuilder();
        string[] tasks = [.. WordTask.All.Select(task => task.Name)];
        Row(text, ["model", .. Tuning.All.SelectMany(Heads)]);
        Row(text, [.. Enumerable.Repeat("---", 1 + 2 * tunings.Length)]);
        Row(text, ["base model", .. tunings.SelectMany(seeds => Cells(seeds.Select(seed => seed["base"]!)))]);
        for (int i = 0; i < tasks.Length; i++)
        {
            IEnumerable<string> cells = tunings.SelectMany(seeds => Cells(seeds.Select(seed => seed["inputs"]![i]!)));
            Row(text, [$"tuned on {tasks[i]}", .. cells]);
        }

        IEnumerable<string> methods = tunings
            .SelectMany(seeds => seeds.SelectMany(seed => seed["methods"]!.AsArray()))
            .GroupBy(merge => (string)merge!["method"]!)
            .OrderByDescending(merges => merges.Average(merge => Kept(merge!)))
            .Select(merges => merges.Key);
        foreach (string method in methods)
            Row(text, [method, .. tunings.SelectMany(seeds => Cells(seeds.Select(seed => Merge(seed, method))))]);
        return text.ToString();
    }

    private static string[] Heads(Tuning tuning) => [$"{tuning.Name}: exact match, %", $"{tuning.Name}: kept, %"];

    private static JsonNode Merge(JsonNode seed, string method) =>
        seed["methods"]!.AsArray().Single(merge => (string)merge!["method"]! == method)!;

    private static string[] Cells(IEnumerable<JsonNode> seeds)
    {
        JsonNode[] all = [.. seeds];
        string exact = string.Join(" / ", Enumerable.Range(0, WordTask.All.Length).Select(task => Exact(all, task)));
        return [exact, Spread([.. all.Select(Kept)])];
    }

    private static string Exact(JsonNode[] seeds, int task) =>
        $"{100 * seeds.Average(seed => (double)seed["tasks"]![task]!["exact_match"]!):0}";

    private static double Kept(JsonNode score) => 100 * ((double?)score["kept"] ?? 0);

    private static string Spread(double[] values)
    {
        double mean = values.Average();
        double deviation = Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1));
        return $"{mean:0} ± {deviation:0}";
    }

    private static void Row(StringBuilder text, string[] cells) => text.AppendLine($"| {string.Join(" | ", cells)} |");
}
