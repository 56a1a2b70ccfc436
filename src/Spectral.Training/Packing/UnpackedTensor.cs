namespace Spectral.Training.Packing;

/// <summary>A tensor of a packed folder as its reader sees it.</summary>
/// <param name="Name">The name of the tensor.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="ToFloats">Unpacks all elements, row by row. The folder has to be open.</param>
internal sealed record UnpackedTensor(string Name, IReadOnlyList<long> Shape, Func<float[]> ToFloats);
