using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging;

/// <summary>The settings of a merge, besides its inputs. Each method states which of them it reads.</summary>
public sealed record MergeOptions
{
    /// <summary>The share of entries to keep, above 0 and at most 1; null: the method's default.</summary>
    public double? Density { get; init; }

    /// <summary>The seed of random choices.</summary>
    public ulong Seed { get; init; }

    /// <summary>
    /// Lists of records for methods that run models (<see cref="MergeMethod.Data"/>), encoded for the base.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<EncodedRecord>> Data { get; init; } = [];

    /// <summary>The number of records of <see cref="Data"/> in a batch.</summary>
    public int Batch { get; init; } = 8;

    /// <summary>
    /// The numbers of the decoder layers to merge, from 0; all tensors outside of them stay as in the base. Null: the
    /// whole model.
    /// </summary>
    public IReadOnlyList<int>? Layers { get; init; }

    /// <summary>The type of all floating point tensors in the result; null: each as in the base.</summary>
    public StoredType? Type { get; init; }

    /// <summary>Quantises linear layers of the result; null: none is.</summary>
    internal QuantizedOutput? Output { get; init; }

    /// <summary>Values of the method's own settings (<see cref="MethodDescription.Settings"/>).</summary>
    public IReadOnlyDictionary<string, double> Settings { get; init; } = new Dictionary<string, double>();

    /// <summary>Values of the method's own settings that are text (<see cref="MergeMethod.TextSettings"/>).</summary>
    public IReadOnlyDictionary<string, string> Texts { get; init; } = new Dictionary<string, string>();
}
