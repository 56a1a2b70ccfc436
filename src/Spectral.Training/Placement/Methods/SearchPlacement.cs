using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Spectral.Training.Adapters;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.Placement.Search;
using Spectral.Training.Settings;

namespace Spectral.Training.Placement.Methods;

/// <summary>AutoPEFT's search over adapter method, layers and rank, by successive halving.</summary>
internal sealed class SearchPlacement : PlacementMethod
{
    private const string Steps = "steps";
    private const string Eta = "eta";
    private const string Rate = "lr";
    private const string Seed = "seed";
    private const int DefaultBudget = 16;
    private const int CalibrationRecords = 64;
    private const double Scale = 2; // alpha over rank, that of finetune's defaults

    public override string Name => "search";

    public override string Formula =>
        "candidates (adapter, rank in {r/4, r/2, r, 2r}, subset of the decoder layers) drawn from the seed; each round "
        + "trains those left, with eta times the steps of the last, and keeps the 1/eta of least loss on --eval";

    public override string Source =>
        "Zhou et al., \"AutoPEFT: Automatic Configuration Search for Parameter-Efficient Fine-Tuning\", 2024, arXiv "
        + "2301.12132; Jamieson, Talwalkar, 2016, arXiv 1502.07943";

    public override string Use =>
        "Costs as many short training runs as the budget says. The paper uses Bayesian optimisation of loss and size; "
        + "here it is successive halving of the loss alone. With --results FILE a search that was stopped goes on "
        + "where it was, and one with a larger budget uses the runs that there are.";

    public override bool IsPublishedForm => false;

    public override bool RunsModel => true;

    public override bool UsesValidation => true;

    public override bool Searches => true;

    public override string BudgetOf => "training runs; by default 16";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(Steps, 20, 1, 1_000_000, "Training steps of the first round."),
        Setting.Whole(Eta, 3, 2, 1000, "How many times fewer candidates, and more steps, the next round has."),
        new(Rate, 1e-3, 1e-12, 1e6, "Learning rate of the runs."),
        Setting.Whole(Seed, 0, 0, int.MaxValue, "Seed of the candidates and the runs."),
    ];

    internal override PlacementResult Place(PlacementRun run)
    {
        int eta = (int)run.Setting(Eta);
        int rank = run.Options.Rank;
        var space = new SearchSpace(
            run.Options.Adapters,
            [.. new[] { rank / 4, rank / 2, rank, 2 * rank }.Where(some => some > 0).Distinct()],
            run.Depth
        );
        IReadOnlyList<Candidate> candidates = space.Draw(
            SuccessiveHalving.Candidates(run.Options.Budget ?? DefaultBudget, eta),
            (ulong)run.Setting(Seed)
        );
        double before = Loss(run);
        var results = new SearchResults(run.Options.Results, Identity(run, before));
        int total = SuccessiveHalving.Rounds(candidates.Count, eta).Sum();
        int done = 0;
        Candidate best = SuccessiveHalving.Best(
            candidates,
            eta,
            (candidate, round) =>
            {
                int steps = checked((int)run.Setting(Steps) * (int)Math.Pow(eta, round));
                FinishedTrial? trial = results.Find(candidate, steps);
                if (trial is null)
                {
                    trial = Try(run, candidate, steps);
                    results.Add(trial);
                }

                run.Report($"run {++done} of {total}: {candidate}, {steps} steps: {Text(trial.Loss)}");
                return trial.Loss ?? double.NaN;
            }
        );
        FinishedTrial last = results.Trials.Last(trial => trial.Candidate.ToString() == best.ToString());
        return new PlacementResult(
            [
                .. run.Layers.Select(layer => new PlacedModule(
                    layer,
                    best.Layers.Contains(run.DepthOf(layer)) ? best.Rank : 0
                )),
            ],
            [
                $"best of {candidates.Count} candidates in {total} runs: {best}",
                $"{Text(last.Loss)} after {last.Steps} steps, {Text(before)} without an adapter; "
                    + $"{last.Trainable} trainable parameters",
            ]
        )
        {
            Adapter = best.Adapter,
        };
    }

    /// <summary>Trains a candidate and measures it.</summary>
    private FinishedTrial Try(PlacementRun run, Candidate candidate, int steps)
    {
        AdapterMethod method = AdapterMethods.Find(candidate.Adapter);
        var options = new AdapterOptions
        {
            Rank = candidate.Rank,
            Alpha = Scale * candidate.Rank,
            TargetModules = [.. run.Names],
            RankPattern =
            [
                .. run
                    .Layers.Where(layer => !candidate.Layers.Contains(run.DepthOf(layer)))
                    .Select(layer => KeyValuePair.Create(layer.Name, 0)),
            ],
            Seed = (ulong)run.Setting(Seed),
        };
        var training = new TrainerOptions
        {
            Steps = steps,
            Batch = run.Batch,
            LearningRate = run.Setting(Rate),
            Seed = options.Seed,
            LogEvery = 0,
        };
        ModelCalibration? calibration = method.StartsFromData
            ? ModelCalibration.OfTraining(run.Model, run.Records, training, CalibrationRecords)
            : null;
        using var adapter = Adapter.Attach(run.Model, method, options, calibration);
        using var trainer = new Trainer(run.Model, training);
        try
        {
            trainer.Run(run.Records, cancellation: run.Cancellation);
            return new FinishedTrial(candidate, steps, Loss(run), adapter.TrainableCount);
        }
        catch (TrainingDivergedException)
        {
            return new FinishedTrial(candidate, steps, null, adapter.TrainableCount);
        }
    }

    private static double Loss(PlacementRun run) =>
        Evaluator
            .Evaluate(run.Model, run.ValidationRecords, run.Batch, exactMatch: false, cancellation: run.Cancellation)
            .Loss;

    private Dictionary<string, string> Identity(PlacementRun run, double before) =>
        new()
        {
            // The loss of the base tells other weights apart, without reading all of them.
            ["base_loss"] = before.ToString("R", CultureInfo.InvariantCulture),
            ["data"] = Digest(run.Records),
            ["eval"] = Digest(run.ValidationRecords),
            ["target"] = string.Join(',', run.Names),
            ["batch"] = run.Batch.ToString(CultureInfo.InvariantCulture),
            [Rate] = run.Setting(Rate).ToString("R", CultureInfo.InvariantCulture),
            [Seed] = run.Setting(Seed).ToString("R", CultureInfo.InvariantCulture),
        };

    private static string Digest(IReadOnlyList<EncodedRecord> records)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (EncodedRecord record in records)
            hash.AppendData(Encoding.ASCII.GetBytes($"{record.PromptLength}:{string.Join(' ', record.Tokens)}\n"));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string Text(double? loss) =>
        loss is { } value ? string.Create(CultureInfo.InvariantCulture, $"loss {value:0.0000}") : "diverged";
}
