using System.Runtime.CompilerServices;

namespace Spectral.Kernels.Driver;

/// <summary>Formats an interpolated string only when a call has failed.</summary>
[InterpolatedStringHandler]
internal ref struct FailureText
{
    private DefaultInterpolatedStringHandler _text;

    public FailureText(int literalLength, int formattedCount, int status, out bool failed)
    {
        failed = status != 0;
        if (failed)
            _text = new DefaultInterpolatedStringHandler(literalLength, formattedCount);
    }

    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    public void AppendFormatted<T>(T value, string? format) => _text.AppendFormatted(value, format);

    public override string ToString() => _text.ToStringAndClear();
}
