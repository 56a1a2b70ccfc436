using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Names the form in which a frozen model keeps the weights of its linear layers: a few bits per element and a scale
/// for each block of them, as QLoRA does (Dettmers et al., 2023, arXiv 2305.14314).
/// </summary>
/// <remarks>
/// Embeddings, the head, norms, biases and the routers of experts stay as they are. A value is rounded to the nearest
/// code, from F32, and counts from then on as what its code stands for.
/// </remarks>
/// <param name="Format">The codes of the elements.</param>
/// <param name="Double">
/// Whether the scales are quantised too, to 8 bits in blocks of 256; only for formats of 4 bits in blocks of 64.
/// </param>
public sealed record BaseQuantization(WeightFormat Format, bool Double = false)
{
    /// <summary>The form as files of adapters and warnings name it.</summary>
    internal string Name => Double ? $"{Format.Name()} double" : Format.Name();

    /// <summary>The codes and where their scales are.</summary>
    public QuantizedLayout Layout => QuantizedLayout.For(Format);

    /// <summary>How a matrix is kept on a device.</summary>
    internal QuantizedForm Form => new(Layout, Double);

    /// <summary>Quantises a stored matrix piece by piece.</summary>
    /// <param name="stored">The matrix [out, in].</param>
    /// <param name="device">The device of the result, which the caller disposes.</param>
    /// <param name="change">
    /// Changes the values of each piece before they are quantised, given its first row; null: nothing does.
    /// </param>
    /// <exception cref="InputException">A value is not finite.</exception>
    internal QuantizedMatrix Read(SafetensorsTensor stored, Device device, Action<int, Tensor>? change = null)
    {
        (int rows, int columns) = ((int)stored.Shape[0], (int)stored.Shape[1]);
        var matrix = new QuantizedMatrix(device, rows, columns, Layout);
        try
        {
            foreach ((int from, int count) in RowPieces.Of(matrix))
            {
                float[] values = new float[count * columns];
                stored.ReadFloats((long)from * columns, values);
                using var piece = Tensor.From(device, values, (count, columns));
                change?.Invoke(from, piece);
                matrix.Fill(from, piece);
            }

            if (Double)
                matrix.CompressScales();
            return matrix;
        }
        catch
        {
            matrix.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Allocates a matrix whose values are those of fresh memory, for a device that computes nothing.
    /// </summary>
    internal QuantizedMatrix Unset(IReadOnlyList<long> shape, Device device)
    {
        var matrix = new QuantizedMatrix(device, (int)shape[0], (int)shape[1], Layout);
        if (Double)
            matrix.CompressScales();
        return matrix;
    }

    /// <summary>Returns the values [out, in] that a stored matrix has once it is quantised.</summary>
    /// <inheritdoc cref="Read"/>
    internal float[] Round(SafetensorsTensor stored, Device device)
    {
        using QuantizedMatrix matrix = Read(stored, device);
        using var values = Tensor.Empty(device, (matrix.Rows, matrix.Columns));
        matrix.Dequantize(0, values);
        return values.ToArray();
    }
}
