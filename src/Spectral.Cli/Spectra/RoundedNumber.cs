using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Spectral.Cli.Spectra;

/// <summary>Writes rounded numbers; NaN and infinities, which JSON does not have, become null.</summary>
internal abstract class RoundedNumber : JsonConverter<double>
{
    public override double Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        reader.GetDouble();

    public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
    {
        if (double.IsFinite(value))
            WriteFinite(writer, value);
        else
            writer.WriteNullValue();
    }

    protected abstract void WriteFinite(Utf8JsonWriter writer, double value);
}

/// <summary>Writes numbers with ten digits, for files.</summary>
internal sealed class TenDigits : RoundedNumber
{
    /// <summary>Rounds a finite number to ten digits.</summary>
    public static double Round(double value) => double.Parse(Text(value), CultureInfo.InvariantCulture);

    protected override void WriteFinite(Utf8JsonWriter writer, double value) => writer.WriteRawValue(Text(value));

    private static string Text(double value) => value.ToString("G10", CultureInfo.InvariantCulture);
}

/// <summary>Writes numbers with four digits, more than a chart resolves, in their shortest form.</summary>
internal sealed class FourDigits : RoundedNumber
{
    protected override void WriteFinite(Utf8JsonWriter writer, double value)
    {
        string rounded = value.ToString("G4", CultureInfo.InvariantCulture);
        writer.WriteNumberValue(double.Parse(rounded, CultureInfo.InvariantCulture));
    }
}
