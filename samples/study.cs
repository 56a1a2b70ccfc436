// The study of docs/study.md: full fine-tuning and adapter methods teach the sample model the sample task. Then it
// measures what each did to the spectra of the weights. Build first (./build.sh), then
//
//   dotnet run samples/study.cs                    everything: 9 methods, learning rates searched, five seeds each,
//                                                  spectra; about half an hour on two cores
//   dotnet run samples/study.cs -- lora speclora   these methods alone
//
// Every run keeps its result in artifacts/study; a second call makes only what is missing. The last lines printed are
// the tables of docs/study.md.
//
// The last 300 training records are held out to choose learning rates by; only the final runs see samples/eval.jsonl.

#:property PublishAot=false

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string root = Path.GetFullPath(
    Path.Combine(AppContext.GetData("EntryPointFileDirectoryPath") as string ?? "samples", "..")
);
Method[] chosen =
    args.Length == 0
        ? Method.All
        :
        [
            .. args.Select(name =>
                Method.All.FirstOrDefault(method => method.Name == name)
                ?? throw new ArgumentException(
                    $"{name}: expected one of {string.Join(", ", Method.All.Select(method => method.Name))}"
                )
            ),
        ];
var study = new Study(root);
study.SplitData();
var results = new ConcurrentBag<Result>();
Parallel.ForEach(
    Partitioner.Create(chosen, EnumerablePartitionerOptions.NoBuffering),
    new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount },
    method =>
    {
        foreach (Result result in study.Run(method))
            results.Add(result);
    }
);
Result[] ordered =
[
    .. results
        .OrderBy(result => Array.FindIndex(chosen, method => method.Name == result.Method))
        .ThenBy(result => result.Seed),
];
File.WriteAllLines(
    Path.Combine(study.Folder, "results.jsonl"),
    ordered.Select(result => JsonSerializer.Serialize(result, Result.Json))
);
Console.Write(Tables.Of(ordered, (double)study.Known()["loss"]!));

/// <summary>One way to train: a command, its options, and the learning rate to begin the search at.</summary>
/// <param name="Name">The name in the tables.</param>
/// <param name="Options">The options that differ from those of the other ways.</param>
/// <param name="Start">The index in the ladder of rates at which the search begins.</param>
/// <param name="Matched">Whether it has as many trainable parameters as plain LoRA of rank 4, as closely as its rank
/// allows.</param>
record Method(string Name, string Options, double Start, bool Matched = true)
{
    /// <summary>
    /// All ways to train. LoRA of rank 4 on all seven projections of all layers has 38,912 parameters; the others have
    /// the rank that comes closest.
    /// </summary>
    public static readonly Method[] All =
    [
        new("full", "", 1e-3, Matched: false),
        new("lora", "--adapter lora --rank 4 --alpha 8", 1e-2),
        new("speclora", "--adapter speclora --rank 4 --alpha 8 --top-k 8", 1e-2),
        new("pissa", "--adapter pissa --rank 4 --alpha 8", 5e-3),
        new("milora", "--adapter milora --rank 4 --alpha 8", 5e-3),
        new("dora", "--adapter dora --rank 3 --alpha 6", 1e-2),
        new("lora, rank 32", "--adapter lora --rank 32 --alpha 64", 5e-3, Matched: false),
        new("lora, rank 1", "--adapter lora --rank 1 --alpha 2", 1e-2, Matched: false),
        new("speclora, mask alone", "--adapter speclora --rank 0 --top-k 64", 2e-2, Matched: false),
    ];

    public bool TrainsAll => Options.Length == 0;
}

/// <summary>The result of one of the final runs.</summary>
/// <param name="Method">The name in the tables.</param>
/// <param name="Matched">Whether it trains as many parameters as plain LoRA of rank 4.</param>
/// <param name="Parameters">The number of trainable parameters.</param>
/// <param name="Rate">The learning rate that the search found.</param>
/// <param name="Seed">The seed, from 0 to 4.</param>
/// <param name="Exact">The share of right answers to the new task, on words never trained on.</param>
/// <param name="Loss">The loss on the same records.</param>
/// <param name="Known">The loss on the tasks that the base model knew.</param>
/// <param name="Spectra">What the run did to the weights.</param>
record Result(
    string Method,
    bool Matched,
    long Parameters,
    double Rate,
    int Seed,
    double Exact,
    double Loss,
    double Known,
    Spectra Spectra
)
{
    public static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };
}

/// <summary>
/// What a run did to the spectra of the 28 matrices: means over them, or the number of matrices for which a statement
/// holds. docs/spectra.md defines the quantities.
/// </summary>
/// <param name="Change">The Frobenius norm of the update, divided by that of the weight.</param>
/// <param name="Amplification">The growth of the 16 largest singular values, as a share of the change of all.</param>
/// <param name="Top">The relative change of the largest 1 % of values.</param>
/// <param name="Rest">The size of the relative change in the lower half.</param>
/// <param name="Similarity">The similarity of the spans of the leading 16 left singular vectors before and
/// after.</param>
/// <param name="TopTop">The share of the update's energy between the leading 16 left and right vectors.</param>
/// <param name="BottomBottom">The share of its energy outside both.</param>
/// <param name="EffectiveRank">The effective rank of the update.</param>
/// <param name="Intruders">The number of vectors, among the leading ten left and right ones of all matrices, with a
/// cosine below 0.5 to every vector of the base.</param>
/// <param name="AmplifiesTop">The number of matrices that amplify the top, by the verdict.</param>
/// <param name="ReorientsTop">The number of matrices that turn the top.</param>
/// <param name="RestStable">The number of matrices that leave the rest as it was.</param>
record Spectra(
    double Change,
    double Amplification,
    double Top,
    double Rest,
    double Similarity,
    double TopTop,
    double BottomBottom,
    double EffectiveRank,
    int Intruders,
    int AmplifiesTop,
    int ReorientsTop,
    int RestStable
)
{
    private const double Threshold = 0.5;

    /// <param name="model">The object `model` of `spectral analyze --json`.</param>
    public static Spectra Of(JsonNode model)
    {
        double Mean(string name) => (double)model[name]!["mean"]!;
        int Holds(string name) => (int)model[name]!["holds"]!;
        JsonNode intruders = model["intruders"]!.AsArray().Single(row => (double)row!["threshold"]! == Threshold)!;
        JsonArray bins = model["bins"]!.AsArray();
        return new(
            Mean("relative_change"),
            Mean("amplification"),
            (double)bins[0]!["relative"]!,
            (double)bins[^1]!["relative_magnitude"]!,
            Mean("similarity_left"),
            Mean("energy_top_top"),
            Mean("energy_bottom_bottom"),
            Mean("effective_rank_change"),
            (int)intruders["left"]! + (int)intruders["right"]!,
            Holds("amplifies_top"),
            Holds("reorients_top"),
            Holds("rest_stable")
        );
    }
}

/// <summary>Runs commands, and keeps their results in a folder so that none is run twice.</summary>
sealed class Study(string root)
{
    public const string Base = "samples/base-model";
    private const int Held = 300;
    private const int Seeds = 5;
    private static readonly int[] SearchSeeds = [100, 101]; // with one seed, a rate could win that fails with others
    private const string Device = "--device cpu --threads 1";
    private const string Common = $"--steps 300 --batch 16 --max-length 128 --warmup 20 {Device}";
    private static readonly double[] Ladder =
    [
        1e-4,
        2e-4,
        5e-4,
        1e-3,
        2e-3,
        5e-3,
        1e-2,
        2e-2,
        5e-2,
        1e-1,
        2e-1,
        5e-1,
        1,
    ];

    public string Folder { get; } = Directory.CreateDirectory(Path.Combine(root, "artifacts/study")).FullName;

    /// <summary>Writes two files: all training records but the last 300, and these 300.</summary>
    public void SplitData()
    {
        string[] lines = File.ReadAllLines(Path.Combine(root, "samples/train.jsonl"));
        File.WriteAllLines(Path.Combine(Folder, "train.jsonl"), lines[..^Held]);
        File.WriteAllLines(Path.Combine(Folder, "held-out.jsonl"), lines[^Held..]);
    }

    /// <summary>
    /// Finds the learning rate on the held-out records, then trains with five other seeds and evaluates on records that
    /// no choice depended on.
    /// </summary>
    public IEnumerable<Result> Run(Method method)
    {
        double rate = SearchRate(method);
        for (int seed = 0; seed < Seeds; seed++)
        {
            (string folder, JsonNode trained) = Train(method, rate, seed);
            string tuned = method.TrainsAll ? $"--model {folder}" : $"--model {Base} --adapter {folder}";
            string kept = $"{folder}/../{{0}}-{Path.GetFileName(folder)}";
            JsonNode test = Kept(
                string.Format(kept, "test") + ".json",
                $"eval {tuned} --data samples/eval.jsonl {Device}"
            );
            JsonNode spectra = Kept(
                string.Format(kept, "spectra") + ".json",
                $"analyze --base {Base} {(method.TrainsAll ? "--tuned" : "--adapter")} {folder} --out "
                    + $"{string.Format(kept, "spectra")}.html --overwrite --draws 5 {Device}"
            );
            yield return new Result(
                method.Name,
                method.Matched,
                (long)trained["trainable_parameters"]!,
                rate,
                seed,
                (double)test["exact_match"]!,
                (double)test["loss"]!,
                (double)Known(tuned, string.Format(kept, "known") + ".json")["loss"]!,
                Spectra.Of(spectra["model"]!)
            );
        }
    }

    /// <summary>Evaluates the base model on the tasks that it knows.</summary>
    public JsonNode Known() => Known($"--model {Base}", Path.Combine(Folder, "known.json"));

    private JsonNode Known(string model, string keep) =>
        Kept(keep, $"eval {model} --data samples/known.jsonl {Device}");

    /// <summary>
    /// Tries three neighbouring rates of the ladder, and further ones while the best so far is at an end. The best has
    /// the highest mean exact match, then the lowest mean loss.
    /// </summary>
    private double SearchRate(Method method)
    {
        int start = Array.IndexOf(Ladder, method.Start);
        int low = start - 1;
        int high = start + 1;
        var tried = new SortedDictionary<int, (double Exact, double Loss)>();
        while (true)
        {
            for (int i = low; i <= high; i++)
            {
                if (!tried.ContainsKey(i))
                    tried[i] = Score(method, Ladder[i]);
            }

            int best = tried.MaxBy(pair => (pair.Value.Exact, -pair.Value.Loss)).Key;
            if (best == low && low > 0)
                low--;
            else if (best == high && high < Ladder.Length - 1)
                high++;
            else
                return Ladder[best];
        }
    }

    private (double Exact, double Loss) Score(Method method, double rate)
    {
        JsonNode[] runs = [.. SearchSeeds.Select(seed => Train(method, rate, seed).Result)];
        return (
            runs.Average(run => (double?)run["exact_match"] ?? 0),
            runs.Average(run => (double?)run["eval_loss"] ?? double.PositiveInfinity)
        );
    }

    private (string Folder, JsonNode Result) Train(Method method, double rate, int seed)
    {
        string parent = Directory
            .CreateDirectory(Path.Combine(Folder, method.Name.Replace(", ", "-").Replace(' ', '-')))
            .FullName;
        string folder = Path.Combine(parent, $"lr{rate}-seed{seed}");
        JsonNode result = Kept(
            folder + ".json",
            (method.TrainsAll ? "pretrain " : $"finetune {method.Options} ")
                + $"--model {Base} --data {Folder}/train.jsonl --eval {Folder}/held-out.jsonl --out "
                + $"{folder} --overwrite --lr {rate} --seed {seed} {Common}",
            mayFail: true
        );
        return (folder, result);
    }

    /// <summary>
    /// Returns the JSON object of a command: from its file if that exists, or else by running the command. A run that
    /// diverged has no score.
    /// </summary>
    private JsonNode Kept(string path, string command, bool mayFail = false)
    {
        if (File.Exists(path))
            return JsonNode.Parse(File.ReadAllText(path))!;
        var clock = Stopwatch.StartNew();
        using Process process = Process.Start(
            new ProcessStartInfo(Path.Combine(root, "artifacts/bin/spectral"), [.. command.Split(' '), "--json"])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = root,
            }
        )!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        bool diverged = process.ExitCode == 1 && mayFail;
        if (process.ExitCode != 0 && !diverged)
            throw new InvalidOperationException($"spectral {command}: exit code {process.ExitCode}\n{errors.Result}");
        JsonNode result = diverged
            ? new JsonObject { ["failed"] = errors.Result.Trim().Split('\n')[^1] }
            : JsonNode.Parse(output)!;
        File.WriteAllText(path + ".partial", result.ToJsonString());
        File.Move(path + ".partial", path, overwrite: true);
        Console.Error.WriteLine(
            $"{clock.Elapsed.TotalSeconds, 6:0.0} s  {Path.GetRelativePath(Folder, path), -48} "
                + $"{result["exact_match"] ?? result["failed"]}"
        );
        return result;
    }
}

/// <summary>Prints the tables of docs/study.md: means over seeds, with the standard deviation of the sample.</summary>
static class Tables
{
    public static string Of(Result[] results, double known)
    {
        IGrouping<string, Result>[] methods = [.. results.GroupBy(result => result.Method)];
        var text = new StringBuilder();
        Row(
            text,
            "method",
            "trainable",
            "learning rate",
            "exact match, %",
            "least … most",
            "loss",
            "loss, known tasks"
        );
        Row(text, [.. Enumerable.Repeat("---", 7)]);
        Row(text, "base model", "", "", "", "", "", $"{known:0.00}");
        foreach (IGrouping<string, Result> runs in methods)
        {
            double[] exact = [.. runs.Select(run => 100 * run.Exact)];
            Row(
                text,
                runs.Key,
                $"{runs.First().Parameters:N0}",
                $"{runs.First().Rate}",
                Spread(exact, "0.0"),
                $"{exact.Min():0.0} … {exact.Max():0.0}",
                Spread(runs.Select(run => run.Loss), "0.000"),
                Spread(runs.Select(run => run.Known), "0.00")
            );
        }
        text.AppendLine();
        (string Name, Func<Spectra, double> Of, string Format)[] measures =
        [
            ("‖ΔW‖/‖W‖", spectra => spectra.Change, "0.00"),
            ("amplification", spectra => spectra.Amplification, "0.00"),
            ("top 1 % grew by, %", spectra => 100 * spectra.Top, "0"),
            ("lower half changed by, %", spectra => 100 * spectra.Rest, "0.0"),
            ("similarity, top 16", spectra => spectra.Similarity, "0.00"),
            ("energy TT", spectra => spectra.TopTop, "0.00"),
            ("energy BB", spectra => spectra.BottomBottom, "0.00"),
            ("effective rank of ΔW", spectra => spectra.EffectiveRank, "0.0"),
            ("intruders", spectra => spectra.Intruders, "0"),
            ("amplifies top", spectra => spectra.AmplifiesTop, "0"),
            ("reorients top", spectra => spectra.ReorientsTop, "0"),
            ("rest stable", spectra => spectra.RestStable, "0"),
        ];
        Row(text, ["method", .. measures.Select(measure => measure.Name)]);
        Row(text, [.. Enumerable.Repeat("---", measures.Length + 1)]);
        foreach (IGrouping<string, Result> runs in methods)
        {
            IEnumerable<string> cells = measures.Select(measure =>
                Spread(runs.Select(run => measure.Of(run.Spectra)), measure.Format)
            );
            Row(text, [runs.Key, .. cells]);
        }

        return text.ToString();
    }

    private static void Row(StringBuilder text, params string[] cells) =>
        text.AppendLine($"| {string.Join(" | ", cells)} |");

    private static string Spread(IEnumerable<double> values, string format)
    {
        double[] all = [.. values];
        double mean = all.Average();
        double deviation = Math.Sqrt(all.Sum(value => (value - mean) * (value - mean)) / (all.Length - 1));
        return $"{mean.ToString(format)} ± {deviation.ToString(format)}";
    }
}
