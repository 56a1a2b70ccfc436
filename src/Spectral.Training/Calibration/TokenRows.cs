using Spectral.Kernels;
using Spectral.Training.Data;

namespace Spectral.Training.Calibration;

/// <summary>
/// Which rows of the activations [B·S, features] are tokens of a batch: the rest is padding, which calibration leaves
/// out.
/// </summary>
internal sealed class TokenRows : IDisposable
{
    private readonly Device _device;
    private readonly int[] _lengths;
    private readonly int[] _prompts;
    private readonly int _stride;
    private Tensor? _labelled;

    /// <summary>Records side by side in rows of <paramref name="length"/> tokens, padded on the right.</summary>
    public TokenRows(Device device, IEnumerable<EncodedRecord> records, int length)
    {
        EncodedRecord[] all = [.. records];
        (_device, _stride) = (device, length);
        (_lengths, _prompts) = (
            [.. all.Select(record => record.Tokens.Length)],
            [.. all.Select(record => record.PromptLength)]
        );
        Index = RowsFrom(_ => 0);
    }

    /// <summary>[tokens] I32: the rows, ascending.</summary>
    public Tensor Index { get; }

    /// <summary>Those of the rows whose tokens carry a label: none of a prompt's do.</summary>
    public Tensor Labelled => _labelled ??= RowsFrom(row => _prompts[row]);

    /// <summary>Number of tokens.</summary>
    public int Count => Index.Dim(0);

    /// <summary>Where each record's tokens begin, and how many they are.</summary>
    public IEnumerable<(int Start, int Count)> Records => _lengths.Select((count, row) => (row * _stride, count));

    public void Dispose()
    {
        Index.Dispose();
        _labelled?.Dispose();
    }

    private Tensor RowsFrom(Func<int, int> first)
    {
        int[] rows =
        [
            .. _lengths.SelectMany((count, row) => Enumerable.Range((row * _stride) + first(row), count - first(row))),
        ];
        return Tensor.From(_device, rows, rows.Length);
    }
}
