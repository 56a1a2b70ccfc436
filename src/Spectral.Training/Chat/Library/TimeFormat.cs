using System.Globalization;
using System.Text;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>
/// C's <c>strftime</c> in the C locale, with the flags of glibc: - drops padding, _ pads with spaces.
/// </summary>
internal static class TimeFormat
{
    /// <summary>Writes a time.</summary>
    /// <param name="time">The time.</param>
    /// <param name="format">The format, with directives such as %Y.</param>
    /// <param name="budget">The budget of the rendering.</param>
    public static string Format(DateTime time, string format, Budget budget)
    {
        budget.Text(format.Length * 16L);
        var builder = new StringBuilder();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                builder.Append(format[i]);
                continue;
            }
            char flag = format[i + 1] is '-' or '_' or '0' or '^' && i + 2 < format.Length ? format[++i] : ' ';
            char directive = format[++i];
            string? text = Directive(time, directive, budget);
            if (text is null)
                builder.Append('%').Append(flag == ' ' ? "" : flag).Append(directive);
            else
                builder.Append(Flagged(text, flag));
        }
        return builder.ToString();
    }

    private static string Flagged(string text, char flag)
    {
        int zeros = Math.Min(text.Length - 1, text.Length - text.TrimStart('0').Length);
        return flag switch
        {
            '-' when text.All(char.IsAsciiDigit) => text[zeros..],
            '-' => text.TrimStart(' '),
            '_' when text.All(char.IsAsciiDigit) => new string(' ', zeros) + text[zeros..],
            '^' => text.ToUpperInvariant(),
            _ => text,
        };
    }

    private static string? Directive(DateTime time, char directive, Budget budget)
    {
        CultureInfo plain = CultureInfo.InvariantCulture;
        int hour = time.Hour % 12 == 0 ? 12 : time.Hour % 12;
        int day = (int)time.DayOfWeek;
        return directive switch
        {
            'Y' => time.Year.ToString(plain),
            'C' => (time.Year / 100).ToString("00", plain),
            'y' => (time.Year % 100).ToString("00", plain),
            'm' => time.Month.ToString("00", plain),
            'd' => time.Day.ToString("00", plain),
            'e' => time.Day.ToString(plain).PadLeft(2),
            'H' => time.Hour.ToString("00", plain),
            'k' => time.Hour.ToString(plain).PadLeft(2),
            'I' => hour.ToString("00", plain),
            'l' => hour.ToString(plain).PadLeft(2),
            'M' => time.Minute.ToString("00", plain),
            'S' => time.Second.ToString("00", plain),
            'f' => (time.Ticks % TimeSpan.TicksPerSecond / 10).ToString("000000", plain),
            'p' => time.Hour < 12 ? "AM" : "PM",
            'P' => time.Hour < 12 ? "am" : "pm",
            'B' => plain.DateTimeFormat.GetMonthName(time.Month),
            'b' or 'h' => plain.DateTimeFormat.GetAbbreviatedMonthName(time.Month),
            'A' => plain.DateTimeFormat.GetDayName(time.DayOfWeek),
            'a' => plain.DateTimeFormat.GetAbbreviatedDayName(time.DayOfWeek),
            'j' => time.DayOfYear.ToString("000", plain),
            'u' => (day == 0 ? 7 : day).ToString(plain),
            'w' => day.ToString(plain),
            'U' => ((time.DayOfYear + 6 - day) / 7).ToString("00", plain),
            'W' => ((time.DayOfYear + 6 - (day + 6) % 7) / 7).ToString("00", plain),
            'G' => ISOWeek.GetYear(time).ToString(plain),
            'g' => (ISOWeek.GetYear(time) % 100).ToString("00", plain),
            'V' => ISOWeek.GetWeekOfYear(time).ToString("00", plain),
            's' => new DateTimeOffset(time).ToUnixTimeSeconds().ToString(plain),
            // The time has no zone, as Python's datetime.now().
            'Z' or 'z' => "",
            'n' => "\n",
            't' => "\t",
            '%' => "%",
            'c' => Format(time, "%a %b %e %H:%M:%S %Y", budget),
            'x' or 'D' => Format(time, "%m/%d/%y", budget),
            'X' or 'T' => Format(time, "%H:%M:%S", budget),
            'F' => Format(time, "%Y-%m-%d", budget),
            'R' => Format(time, "%H:%M", budget),
            'r' => Format(time, "%I:%M:%S %p", budget),
            _ => null,
        };
    }
}
