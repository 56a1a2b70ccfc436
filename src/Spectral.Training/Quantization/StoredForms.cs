using Spectral.Generators;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>Finds the form in which a folder stores its quantised weights.</summary>
internal static partial class StoredForms
{
    private const string MethodKey = "quant_method";

    private static readonly StoredForm[] All = BuiltIn();

    /// <summary>Finds the form that quantisation settings name, and checks the settings.</summary>
    /// <exception cref="InputException">They name none of the forms, or something that the form lacks.</exception>
    public static StoredForm Find(JsonFields settings)
    {
        string? method = settings.Text(MethodKey) ?? Implied(settings);
        StoredForm form =
            Array.Find(All, form => form.Method == method)
            ?? throw settings.Wrong(
                MethodKey,
                $"{string.Join(", ", All.Select(form => form.Method))}: no other quantised weights are read"
            );
        form.Check(settings);
        return form;
    }

    // The first versions of transformers' bitsandbytes settings did not name their method.
    private static string? Implied(JsonFields settings) =>
        BitsandbytesForm.Bits(settings) is null ? null : BitsandbytesForm.MethodName;

    [NewOfEachSubclass]
    private static partial StoredForm[] BuiltIn();
}
