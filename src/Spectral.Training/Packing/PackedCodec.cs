using Spectral.Training.IO;

namespace Spectral.Training.Packing;

/// <summary>
/// One way to store the values of a tensor in few bits. To add one, add one file with one subclass; a source generator
/// finds it.
/// </summary>
internal abstract class PackedCodec
{
    /// <summary>The name in the description of a tensor.</summary>
    public abstract string Name { get; }

    /// <summary>Checks the description and the sizes of the parts, and returns what unpacks them.</summary>
    /// <param name="fields">The description of the tensor.</param>
    /// <param name="shape">The shape of the unpacked tensor, with no more elements than an array holds.</param>
    /// <param name="parts">The stored parts.</param>
    /// <exception cref="InputException">A field or a part is missing or does not fit the shape.</exception>
    public abstract Func<float[]> Read(JsonFields fields, IReadOnlyList<long> shape, PackedParts parts);
}
