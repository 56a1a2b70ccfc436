using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>Tables in use, each once per device: layers of one size have them in common.</summary>
internal static class SharedTables<T>
    where T : class, IDisposable
{
    private static readonly Dictionary<(Device, object), Entry> Entries = [];

    /// <summary>The table of a structure, made if nobody has it; to be returned as often as it was rented.</summary>
    public static T Rent(Device device, object structure, Func<T> make)
    {
        lock (Entries)
        {
            if (!Entries.TryGetValue((device, structure), out Entry? entry))
                Entries.Add((device, structure), entry = new Entry(make()));
            entry.Users++;
            return entry.Table;
        }
    }

    /// <summary>Gives it back; the last one to do so frees its memory.</summary>
    public static void Return(Device device, object structure)
    {
        lock (Entries)
        {
            Entry entry = Entries[(device, structure)];
            if (--entry.Users > 0)
                return;
            Entries.Remove((device, structure));
            entry.Table.Dispose();
        }
    }

    private sealed class Entry(T table)
    {
        public T Table => table;

        public int Users { get; set; }
    }
}
