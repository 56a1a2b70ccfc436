using Spectral.Kernels;
using Spectral.Training.Distributed.Sharding;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training;

/// <summary>
/// The masters and the optimizer's state of weights that are divided between ranks: each rank updates its own part of
/// every unit, and a saved state has the whole units, so that any number of ranks can resume.
/// </summary>
internal static class ShardedState
{
    /// <summary>Refuses options that need more of a weight than a part.</summary>
    /// <exception cref="InputException">One of the options does.</exception>
    public static void Require(TrainerOptions options)
    {
        if (Refusal(options) is { } why)
            throw new InputException($"--shard: {why}");
    }

    /// <summary>
    /// Names what a saved state needs of all ranks: the masters, then each tensor of the optimizer's.
    /// </summary>
    public static void Name(ShardedWeights shards, Optimizer optimizer) =>
        shards.Name([
            .. optimizer.Parameters.Parameters.Select(parameter => (Func<Tensor>)parameter.Master.Share),
            .. optimizer.States.Select(state => state.Open),
        ]);

    /// <summary>Writes this rank's part of a saved unit; what is after its end stays zero.</summary>
    /// <param name="unit">The unit.</param>
    /// <param name="saved">Its elements.</param>
    /// <param name="own">This rank's part, which is disposed.</param>
    public static void Read(ShardedUnit unit, SafetensorsTensor saved, Tensor own)
    {
        using (own)
        {
            int count = Math.Clamp(unit.Length - unit.Start, 0, unit.Part);
            if (count == 0)
                return;
            float[] values = new float[count];
            saved.ReadFloats(unit.Start, values);
            using Tensor part = own.Rows(0, count);
            part.CopyFrom(values);
        }
    }

    private static string? Refusal(TrainerOptions options)
    {
        OptimizerMethod method = OptimizerMethods.Find(options.OptimizerChoice.Name);
        if (!method.ActsOnElements)
        {
            return $"{method.Name} does not change every element of a weight by itself, and a rank has a part of the "
                + "elements: expected --optimizer "
                + string.Join(" or ", OptimizerMethods.All.Where(one => one.ActsOnElements).Select(one => one.Name));
        }

        if (options.Optimizer.ClipGroups is { } groups)
            return $"a rank has parts of layers, which --clip-groups {groups} tells apart: expected --grad-clip alone";
        if (options.EmaDecay is { } decay)
            return $"an average is not divided between ranks: expected no --ema {decay}";
        return options.FlopBudget is null
            ? null
            : "a rank has parts of tensors, which --flop-budget would tell apart: expected none";
    }
}
