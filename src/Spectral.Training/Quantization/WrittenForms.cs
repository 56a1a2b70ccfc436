using Spectral.Generators;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>Finds the way in which a format of codes is written.</summary>
internal static partial class WrittenForms
{
    private static readonly WrittenForm[] All = BuiltIn();

    /// <summary>Finds the way in which a format is written.</summary>
    /// <exception cref="InputException">The format is not written.</exception>
    public static WrittenForm For(WeightFormat format) =>
        Array.Find(All, form => form.Formats.Contains(format))
        ?? throw new InputException(
            $"{format.Name()} weights are not written, expected "
                + string.Join(", ", All.SelectMany(form => form.Formats).Select(other => other.Name()))
        );

    [NewOfEachSubclass]
    private static partial WrittenForm[] BuiltIn();
}
