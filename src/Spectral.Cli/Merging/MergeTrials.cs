using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Merging;

namespace Spectral.Cli.Merging;

/// <summary>
/// Merges the same inputs by one method after the other, and measures the base, each input and each result.
/// </summary>
internal sealed class MergeTrials
{
    /// <summary>The model that all inputs were tuned from.</summary>
    public required ModelInputs Base { get; init; }

    public required IReadOnlyList<MergeInput> Inputs { get; init; }

    /// <summary>The methods. Of several, one that cannot merge the inputs is left out.</summary>
    public required IReadOnlyList<ChosenMethod> Methods { get; init; }

    /// <summary>What results are written as.</summary>
    public required ResultForm Form { get; init; }

    public required Device Device { get; init; }

    /// <summary>
    /// The folder of the result of a single method; null: results are removed once they are measured.
    /// </summary>
    public IOutput? Target { get; init; }

    /// <summary>What was written to <see cref="Target"/>; null: nothing yet.</summary>
    public MadeMerge? Made { get; private set; }

    /// <summary>How many models there are to measure.</summary>
    public int Count => 1 + Inputs.Count + Methods.Count;

    private bool AreSeveral => Methods.Count > 1;

    /// <summary>
    /// Opens the inputs as the method does, or of several methods as the plainest does, and returns the warnings.
    /// </summary>
    /// <exception cref="InputException">No method can merge the inputs, or the only one cannot.</exception>
    public IReadOnlyList<string> Probe()
    {
        using ModelMerge merge = Open(
            AreSeveral ? Methods.First(chosen => chosen.Method.Name == "linear") : Methods[0]
        );
        return merge.Warnings;
    }

    /// <summary>Measures the base, each input alone and every merge.</summary>
    /// <param name="scorer">Measures a model.</param>
    /// <param name="scores">Receives the results, one after the other.</param>
    /// <param name="progress">Shows what is done.</param>
    /// <param name="merged">Called after each method.</param>
    /// <param name="cancellation">Checked between tensors and batches.</param>
    public void Run(
        MergeScorer scorer,
        MergeScores scores,
        WorkProgress progress,
        Action merged,
        CancellationToken cancellation
    )
    {
        int done = 0;
        scores.Base = scorer.Measure("base", Base.Folder.Directory);
        Report(scores.Base);
        foreach (MergeInput input in Inputs)
        {
            MergeScore score = scorer.Measure(input.Directory, input.Directory);
            scores.AddInput(score);
            Report(score);
        }
        foreach (ChosenMethod chosen in Methods)
        {
            string name = chosen.Method.Name;
            try
            {
                MergeScore score = Measure(
                    chosen,
                    scorer,
                    tensor => progress.Report(done, $"{name}: {tensor.Tensor}"),
                    cancellation
                );
                scores.AddMerge(score);
                Report(score);
            }
            catch (InputException refusal) when (AreSeveral)
            {
                scores.LeaveOut(name, refusal.Message);
                progress.Report(++done, $"{name} is left out: {refusal.Message}", notable: true);
            }
            merged();
        }

        void Report(MergeScore score) => progress.Report(++done, Line(scores, score), notable: true);
    }

    private MergeScore Measure(
        ChosenMethod chosen,
        MergeScorer scorer,
        Action<MergeProgress> progress,
        CancellationToken cancellation
    )
    {
        using ModelMerge merge = Open(chosen);
        if (Target is not null)
        {
            Target.Fill(folder => Made = MadeMerge.Write(merge, Form, folder, progress, cancellation));
            return scorer.Measure(chosen.Method.Name, Target.FullPath);
        }
        string temporary = Directory.CreateTempSubdirectory("spectral-merge-").FullName;
        try
        {
            MadeMerge.Write(merge, Form, temporary, progress, cancellation);
            return scorer.Measure(chosen.Method.Name, temporary);
        }
        finally
        {
            Directory.Delete(temporary, recursive: true);
        }
    }

    private ModelMerge Open(ChosenMethod chosen) =>
        ModelMerge.Open(
            Base.Folder,
            chosen.Method,
            // Of several methods, those without weights merge the inputs as they are.
            AreSeveral && !chosen.Method.Uses.HasFlag(MergeUses.Weights)
                ? [.. Inputs.Select(input => input with { Weight = null })]
                : Inputs,
            chosen.Options,
            Device
        );

    private static string Line(MergeScores scores, MergeScore score)
    {
        IEnumerable<string> losses = score.Results.Select(
            (result, task) =>
                string.Create(CultureInfo.InvariantCulture, $"{scores.Tasks[task].Name} {result.Loss:0.0000}")
        );
        return $"{score.Name}: {string.Join(", ", losses)}";
    }
}
