using Spectral.Kernels;
using Spectral.Training.Data;

namespace Spectral.Training.Calibration;

/// <summary>
/// Selects the rows of the activations [B·S, features] that are tokens of a batch. The others are padding, which
/// calibration ignores.
/// </summary>
internal sealed class TokenRows : IDisposable
{
    private readonly Device _device;
    private readonly int[] _lengths;
    private readonly int[] _prompts;
    private readonly int _stride;
    private Tensor? _labelled;

    /// <summary>Places records in rows of <paramref name="length"/> tokens, padded on the right.</summary>
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

    /// <summary>The rows that are tokens, ascending; [tokens] I32.</summary>
    public Tensor Index { get; }

    /// <summary>The rows whose tokens carry loss, i.e. are not part of a prompt; I32.</summary>
    public Tensor Labelled => _labelled ??= RowsFrom(row => _prompts[row]);

    /// <summary>The number of rows that are tokens.</summary>
    public int Count => Index.Dim(0);

    /// <summary>The first row and the number of tokens of each record.</summary>
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
