using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Placement;
using Spectral.Training.Placement.Search;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Placement;

/// <summary>The search: its rounds, a planted best, and runs that are not repeated.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SearchTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly ModelConfig Config = TinyModels.Llama with { Layers = 3 };
    private static readonly EncodedRecord[] Records = TinyModels.Records(6, Config, new Random(11));

    private string Results => Path.Combine(Folder.Path, "runs.json");

    [TestCase(27, 3, 27, 9, 3, 1)]
    [TestCase(10, 3, 10, 3, 1)]
    [TestCase(5, 2, 5, 2, 1)]
    [TestCase(1, 2, 1)]
    public void EachRoundHasAPartOfTheLast(int first, int eta, params int[] rounds)
    {
        Assert.That(SuccessiveHalving.Rounds(first, eta), Is.EqualTo(rounds));
        Assert.That(SuccessiveHalving.Candidates(rounds.Sum(), eta), Is.EqualTo(first));
        Assert.That(SuccessiveHalving.Candidates(rounds.Sum() - 1, eta), Is.LessThan(first).Or.EqualTo(1));
    }

    [Test]
    public void CandidatesAreDistinctAndMoreBeginWithFewer()
    {
        SearchSpace space = new(["lora", "dora"], [2, 4, 8], 4);
        IReadOnlyList<Candidate> many = space.Draw(40, 7);
        string[] names = [.. many.Select(candidate => candidate.ToString())];
        Assert.That(names, Is.Unique.And.Length.EqualTo(40));
        Assert.That(space.Draw(9, 7).Select(candidate => candidate.ToString()), Is.EqualTo(names[..9]));
        Assert.That(space.Draw(9, 8).Select(candidate => candidate.ToString()), Is.Not.EqualTo(names[..9]));
        Assert.That(many.Select(candidate => candidate.Layers.Count), Does.Contain(1).And.Contain(4));
        Assert.That(new SearchSpace(["lora"], [1], 3).Draw(50, 7), Has.Count.EqualTo(7), "all subsets but the empty");
    }

    [Test]
    public void APlantedBestIsFoundAmongAllThereIsDespiteNoise([Range(0, 4)] int seed)
    {
        SearchSpace space = new(["lora", "dora"], [2, 4, 8], 4);
        IReadOnlyList<Candidate> candidates = space.Draw(90, (ulong)seed);
        Assert.That(candidates, Has.Count.EqualTo(2 * 3 * 15));
        Random random = new(seed);
        Candidate planted = candidates[random.Next(candidates.Count)];
        int measured = 0;
        Candidate found = SuccessiveHalving.Best(
            candidates,
            3,
            (candidate, round) =>
            {
                measured++;
                double distance =
                    (candidate.Adapter == planted.Adapter ? 0 : 1)
                    + Math.Abs(Math.Log2((double)candidate.Rank / planted.Rank))
                    + Enumerable.Range(0, 4).Count(i => candidate.Layers.Contains(i) != planted.Layers.Contains(i));
                // Short runs say little: the noise of the first round is as large as the distance of neighbours.
                return distance + (random.NextDouble() / Math.Pow(3, round));
            }
        );
        Assert.That(found.ToString(), Is.EqualTo(planted.ToString()));
        Assert.That(measured, Is.EqualTo(90 + 30 + 10 + 3 + 1));
    }

    [Test]
    public void WhatDivergesIsWorst() =>
        Assert.That(
            SuccessiveHalving.Best([1, 2, 3], 2, (candidate, _) => candidate == 1 ? double.NaN : candidate),
            Is.EqualTo(2)
        );

    [Test]
    public void ASearchThatWasStoppedGoesOnWithTheSameResult()
    {
        PlacementResult whole = Search(null, out int runs);
        Assert.That(runs, Is.EqualTo(5 + 2 + 1));
        Assert.That(whole.Adapter, Is.AnyOf("lora", "dora"));
        Assert.That(whole.Modules.Select(module => module.Rank), Has.Some.Positive);
        Assert.That(
            () => Search(Results, out _, stopAfter: 3),
            Throws.InstanceOf<OperationCanceledException>(),
            "stopped after the third run"
        );
        DateTime written = File.GetLastWriteTimeUtc(Results);
        PlacementResult resumed = Search(Results, out int reported);
        Assert.That(reported, Is.EqualTo(8));
        Assert.That(resumed.Modules, Is.EqualTo(whole.Modules));
        Assert.That(resumed.Notes, Is.EqualTo(whole.Notes));
        Assert.That(File.GetLastWriteTimeUtc(Results), Is.Not.EqualTo(written), "five runs were left");
        byte[] file = File.ReadAllBytes(Results);
        Assert.That(Search(Results, out _).Notes, Is.EqualTo(whole.Notes));
        Assert.That(File.ReadAllBytes(Results), Is.EqualTo(file), "nothing was left to run");
    }

    [Test]
    public void ALargerBudgetUsesTheRunsThereAre()
    {
        Search(Results, out _);
        string before = File.ReadAllText(Results);
        Search(Results, out _, budget: 14);
        string after = File.ReadAllText(Results);
        Assert.That(after, Does.StartWith(before[..before.LastIndexOf('}')].TrimEnd()[..^1].TrimEnd()));
        Assert.That(after.Split("\"steps\""), Has.Length.GreaterThan(before.Split("\"steps\"").Length));
    }

    [Test]
    public void TheFileOfAnotherSearchIsRefused()
    {
        Search(Results, out _);
        Assert.That(
            () => Search(Results, out _, rate: 2e-2),
            Throws.TypeOf<InputException>().With.Message.Contains("another lr")
        );
        File.WriteAllText(Results, "{");
        Assert.That(() => Search(Results, out _), Throws.TypeOf<InputException>().With.Message.Contains(Results));
    }

    private PlacementResult Search(
        string? results,
        out int reported,
        int budget = 8,
        int stopAfter = int.MaxValue,
        double rate = 1e-2
    )
    {
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using var stop = new CancellationTokenSource();
        int lines = 0;
        PlacementResult placed = Placer.Place(
            PlacementMethods.Find("search"),
            Config,
            new PlacementOptions
            {
                Rank = 2,
                Budget = budget,
                Adapters = ["lora", "dora"],
                Results = results,
                Settings = new Dictionary<string, double>
                {
                    ["steps"] = 2,
                    ["eta"] = 2,
                    ["lr"] = rate,
                },
            },
            new PlacementData(model, Records, Records[..3], 3),
            _ =>
            {
                if (++lines == stopAfter)
                    stop.Cancel();
            },
            stop.Token
        );
        reported = lines;
        return placed;
    }
}
