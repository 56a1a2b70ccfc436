using Spectral.Training.Adapters;

namespace Spectral.Training.Placement;

/// <summary>What a layer gets.</summary>
/// <param name="Module">The layer that may be adapted.</param>
/// <param name="Rank">The rank of its adapter; 0: none.</param>
public sealed record PlacedModule(ModuleShape Module, int Rank)
{
    /// <summary>The number of single weights that the method would train instead of an adapter.</summary>
    public long Entries { get; init; }

    /// <summary>Whether the method would train the layer's bias. Layers without a bias have none to train.</summary>
    public bool TrainsBias { get; init; }

    /// <summary>The score by which the layer was chosen (<see cref="PlacementMethod.ScoreOf"/>); null: none.</summary>
    public double? Score { get; init; }

    /// <summary>The number of scalars that train: rank·(out + in) of a LoRA, single weights and the bias.</summary>
    public long Trainable =>
        ((long)Rank * (Module.Out + Module.In)) + Entries + (TrainsBias && Module.HasBias ? Module.Out : 0);
}
