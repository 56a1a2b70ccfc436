using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The tables in use, one instance per device, which layers of the same size share.</summary>
internal static class SharedTables<T>
    where T : class, IDisposable
{
    private static readonly Dictionary<(Device, object), Entry> Entries = [];

    /// <summary>
    /// Returns the table of a structure, which is created if no one has it. Each rented table has to be returned.
    /// </summary>
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

    /// <summary>Returns a rented table. The last return frees its memory.</summary>
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
