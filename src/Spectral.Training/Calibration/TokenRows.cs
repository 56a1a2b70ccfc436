using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>Which rows of the activations [B·S, features] are tokens of a batch: the rest is padding, which calibration leaves out.</summary>
internal sealed class TokenRows : IDisposable
{
    private readonly int[] _lengths;
    private readonly int _stride;

    /// <summary>Records side by side in rows of <paramref name="length"/> tokens, padded on the right.</summary>
    public TokenRows(Device device, IEnumerable<EncodedRecord> records, int length)
    {
        (_lengths, _stride) = ([.. records.Select(record => record.Tokens.Length)], length);
        Index = Tensor.From(device, [.. _lengths.SelectMany((count, row) => Enumerable.Range(row * length, count))], _lengths.Sum());
    }

    /// <summary>[tokens] I32: the rows, ascending.</summary>
    public Tensor Index { get; }

    /// <summary>Number of tokens.</summary>
    public int Count => Index.Dim(0);

    /// <summary>Where each record's tokens begin, and how many they are.</summary>
    public IEnumerable<(int Start, int Count)> Records => _lengths.Select((count, row) => (row * _stride, count));

    public void Dispose() => Index.Dispose();
}
