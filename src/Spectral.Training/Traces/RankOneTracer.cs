using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Traces;

/// <summary>
/// Follows an adapter's rank-1 modules token by token. Such a module adds h·b to the output of its layer, where h = a·x
/// is one number per token, which can be read like the activation of a feature (Soligo et al., "Convergent Linear
/// Representations of Emergent Misalignment", arXiv 2506.11618).
/// </summary>
public static class RankOneTracer
{
    /// <summary>Runs the adapted model on records and collects h of every rank-1 module at every token.</summary>
    /// <param name="model">The model without an adapter; it has none again afterwards.</param>
    /// <param name="folder">The folder of the model.</param>
    /// <param name="adapterDirectory">The adapter's folder.</param>
    /// <param name="records">The records to run.</param>
    /// <param name="shown">The number of records whose scalars are kept token by token.</param>
    /// <param name="progress">Receives the number of records done.</param>
    /// <param name="cancellation">Checked between records.</param>
    /// <exception cref="InputException">The adapter does not fit, or has no module of rank 1.</exception>
    public static RankOneTraces Trace(
        CausalLanguageModel model,
        ModelFolder folder,
        string adapterDirectory,
        IReadOnlyList<EncodedRecord> records,
        int shown,
        Action<int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        using var reader = new AdapterReader(adapterDirectory, folder);
        var linears = model.Linears.ToDictionary(linear => linear.Name);
        ILookup<bool, AdaptedModule> modules = reader.Modules.ToLookup(module =>
            module.Form is { IsLowRank: true, Rank: 1 } && linears.ContainsKey(module.Shape.Name)
        );
        if (!modules[true].Any())
        {
            throw new InputException(
                $"{adapterDirectory}: the {reader.Method.Name} adapter has no linear layer of rank 1; expected one, as "
                    + "only a layer of rank 1 has one number per token"
            );
        }

        var equivalent = new EquivalentLora(reader, adapterDirectory, folder);
        var scalars = new List<ScalarTrace>();
        var siblings = new List<SiblingLinears>();
        using var adapter = Adapter.Load(model, adapterDirectory);
        try
        {
            foreach (AdaptedModule module in modules[true])
            {
                (float[] left, float[] right) = equivalent.Factors(module, 1, model.Device);
                scalars.Add(new ScalarTrace(module.Shape.Name, left, right, model));
            }
            foreach (
                IGrouping<SiblingLinears, ScalarTrace> group in scalars.GroupBy(scalar => linears[scalar.Name].Siblings)
            )
            {
                group.Key.Observer = new ScalarObserver([.. group]);
                siblings.Add(group.Key);
            }
            var kept = new List<TracedRecord>();
            for (int record = 0; record < records.Count; record++)
            {
                cancellation.ThrowIfCancellationRequested();
                Run(model, records[record]);
                int[] tokens = records[record].Tokens;
                foreach (ScalarTrace scalar in scalars)
                    scalar.Add(record, tokens);
                if (record < shown)
                    kept.Add(new TracedRecord(tokens, [.. scalars.Select(scalar => scalar.Last)]));
                progress?.Invoke(record + 1);
            }
            return new RankOneTraces(
                records.Sum(record => (long)record.Tokens.Length),
                [.. scalars.Select(scalar => scalar.Result())],
                [.. modules[false].Select(module => module.Shape.Name)],
                kept
            );
        }
        finally
        {
            foreach (SiblingLinears one in siblings)
                one.Observer = null;
            foreach (ScalarTrace scalar in scalars)
                scalar.Dispose();
        }
    }

    private static void Run(CausalLanguageModel model, EncodedRecord record)
    {
        using var tensors = new BatchTensors(model.Device, Batch.Create([record]));
        using var tape = new Tape(model.Device, records: false);
        using Variable hidden = model.Hidden(tape, tensors);
    }

    private sealed class ScalarObserver(ScalarTrace[] scalars) : LinearObserver
    {
        public override void Forward(Tensor x)
        {
            foreach (ScalarTrace scalar in scalars)
                scalar.Read(x);
        }
    }
}
