using System.Text.Json;

namespace Spectral.Kernels;

/// <summary>
/// Reads and writes the choices of a <see cref="Tuner"/> on disk: <c>{"format":1,"made_for":"device, driver,
/// BLAS","choices":{"kind of call":"variant"}}</c>. The file is replaced as a whole by a rename, so that readers see
/// the old file or the new one. A damaged file is reported and then replaced.
/// </summary>
internal sealed class TuneFile(string path, string identity)
{
    private const int Format = 1;
    private const int SizeLimit = 4 << 20;

    /// <summary>Folder for the choices of the current user; null if the user has no home folder.</summary>
    public static string? DefaultFolder
    {
        get
        {
            string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            if (OperatingSystem.IsWindows())
            {
                cache = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData);
            }
            // the XDG specification says that relative paths are to be ignored
            else if (string.IsNullOrEmpty(cache) || !Path.IsPathRooted(cache))
            {
                cache = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) is { Length: > 0 } home
                    ? Path.Combine(home, ".cache")
                    : null;
            }

            return string.IsNullOrEmpty(cache) ? null : Path.Combine(cache, "spectral");
        }
    }

    /// <summary>Describes what timings depend on besides the call: the device, its driver and its BLAS.</summary>
    public static string IdentityOf(Device device) =>
        $"{device.Name}, {device.MultiprocessorCount} multiprocessors, driver "
        + $"{device.DriverVersion.Major}.{device.DriverVersion.Minor}, BLAS {device.Blas.Version}";

    /// <summary>Makes the file name of a device's choices from its identity.</summary>
    public static string NameFor(Device device)
    {
        IEnumerable<char> characters = IdentityOf(device)
            .Replace(", ", "-")
            .Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' ? c : '_');
        return $"tune-{string.Concat(characters)}.json";
    }

    /// <summary>
    /// Reads the choices. There are none if the file is absent, or cannot be used, which is reported.
    /// </summary>
    public Dictionary<string, string> Read(Action<string>? warning)
    {
        var choices = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            var file = new FileInfo(path);
            if (!file.Exists)
                return choices;
            if (file.Length > SizeLimit)
                throw new JsonException($"it has {file.Length} bytes, expected at most {SizeLimit}");
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement root = document.RootElement;
            if (root.GetProperty("format").GetInt32() != Format)
                throw new JsonException($"its format is {root.GetProperty("format")}, expected {Format}");
            if (root.GetProperty("made_for").GetString() != identity)
                throw new JsonException($"it was made for {root.GetProperty("made_for")}, expected {identity}");
            foreach (JsonProperty choice in root.GetProperty("choices").EnumerateObject())
                choices[choice.Name] = choice.Value.GetString()!;
        }
        catch (Exception error)
            when (error
                    is JsonException
                        or KeyNotFoundException
                        or InvalidOperationException
                        or FormatException
                        or IOException
                        or UnauthorizedAccessException
            )
        {
            choices.Clear();
            warning?.Invoke($"{path}: the file of tuned choices cannot be used ({error.Message}); it will be replaced");
        }
        return choices;
    }

    /// <summary>Adds a choice to those in the file now, to which other processes may have added theirs.</summary>
    public void Add(string key, string choice, Action<string>? warning)
    {
        Dictionary<string, string> choices = Read(warning: null);
        choices[key] = choice;
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
                json.WriteStartObject();
                json.WriteNumber("format", Format);
                json.WriteString("made_for", identity);
                json.WriteStartObject("choices");
                foreach ((string name, string value) in choices.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                    json.WriteString(name, value);
                json.WriteEndObject();
                json.WriteEndObject();
                json.Flush();
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            try
            {
                File.Delete(temporary);
            }
            catch (Exception inner) when (inner is IOException or UnauthorizedAccessException) { }
            warning?.Invoke($"{path}: tuned choices could not be kept ({error.Message})");
        }
    }
}
