namespace Spectral.Kernels;

/// <summary>
/// Times the variants of an op on a device, once for each kind of call, and keeps the fastest for later calls. It is
/// off by default: timings differ from run to run, and with them the choices and the roundings. A run that must be
/// repeated exactly uses the rules, or the same file of choices.
/// </summary>
public sealed class Tuner
{
    private const int Warmups = 2;
    private const int Samples = 7;

    private readonly Device _device;
    private readonly Dictionary<string, string> _choices = new(StringComparer.Ordinal);
    private readonly Dictionary<Type, object> _memories = [];
    private TuneFile? _file;
    private bool _opened;

    internal Tuner(Device device) => _device = device;

    /// <summary>Whether variants are chosen by timing; false unless set.</summary>
    public bool Enabled { get; set; }

    /// <summary>
    /// The folder in which choices are kept between processes, one file for each device, driver and BLAS version; null
    /// keeps them in memory only. The default is <c>spectral</c> in the user's cache folder (<c>XDG_CACHE_HOME</c>,
    /// else <c>~/.cache</c>; on Windows local application data). The file is read when the first choice is made.
    /// </summary>
    public string? Folder { get; set; } = TuneFile.DefaultFolder;

    /// <summary>Receives a message when the file of choices cannot be read or written; tuning continues.</summary>
    public Action<string>? Warning { get; set; }

    /// <summary>The choices known so far: the name of the variant by the kind of call.</summary>
    public IReadOnlyDictionary<string, string> Choices => _choices;

    /// <summary>
    /// Takes over the choices of a run that is repeated or resumed. They take precedence over those in the file.
    /// </summary>
    public void Adopt(IReadOnlyDictionary<string, string> choices)
    {
        foreach ((string key, string choice) in choices)
            _choices[key] = choice;
    }

    /// <summary>The path of the file of choices, or null when they are kept in memory only.</summary>
    public string? File => Folder is null ? null : Path.Combine(Folder, TuneFile.NameFor(_device));

    /// <summary>
    /// Returns the choices of one op by case, so that a repeated call neither builds a key nor allocates.
    /// </summary>
    internal Dictionary<TCase, TVariant> Memory<TCase, TVariant>()
        where TCase : notnull
    {
        if (!_memories.TryGetValue(typeof(TVariant), out object? memory))
            _memories[typeof(TVariant)] = memory = new Dictionary<TCase, TVariant>();
        return (Dictionary<TCase, TVariant>)memory;
    }

    /// <summary>
    /// Returns the name of the variant chosen for a kind of call, or null; opens the file on first use.
    /// </summary>
    internal string? Find(string key)
    {
        if (!_opened)
            Open();
        return _choices.GetValueOrDefault(key);
    }

    /// <summary>Keeps a choice, and writes it to the file if there is one.</summary>
    internal void Store(string key, string choice)
    {
        _choices[key] = choice;
        _file?.Add(key, choice, Warning);
    }

    /// <summary>
    /// Measures the device time of one run in milliseconds: the median, after runs that load modules and fill caches.
    /// </summary>
    internal double Time(Action run)
    {
        using var start = new DeviceEvent(_device);
        using var end = new DeviceEvent(_device);
        Span<float> times = stackalloc float[Samples];
        for (int i = 0; i < Warmups; i++)
            run();
        for (int i = 0; i < Samples; i++)
        {
            start.Record();
            run();
            end.Record();
            end.Synchronize();
            times[i] = end.MillisecondsSince(start);
        }
        times.Sort();
        return times[Samples / 2];
    }

    private void Open()
    {
        _opened = true;
        if (File is not { } path)
            return;
        _file = new TuneFile(path, TuneFile.IdentityOf(_device));
        foreach ((string key, string choice) in _file.Read(Warning))
            _choices.TryAdd(key, choice);
    }
}
