using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Building;

/// <summary>Declares the trained entries of a weight, for methods that differ in which entries these are.</summary>
/// <remarks>
/// An entry costs 16 bytes, whatever the size of the weight: its place, its value and two moments of the optimizer.
/// While training there are 4 more for the gradient.
/// </remarks>
internal static class SparseMasks
{
    /// <summary>The names of the places and of the values in files.</summary>
    public const string Places = "mask_indices";
    public const string Values = "mask_values";

    private const string KeptPlaces = "kept_indices";
    private const string KeptValues = "kept_values";

    /// <summary>
    /// Returns the form of a sparse change with values that begin at zero. The method writes the places when it
    /// initializes.
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="count">The number of entries.</param>
    /// <param name="places">The name of the places.</param>
    /// <param name="values">The name of the values.</param>
    public static AdapterForm Form(AdapterBuilder layer, long count, string places = Places, string values = Values)
    {
        Factor index = layer.Places(places, count);
        return new AdapterForm { Entries = [new SparseChange(index, layer.Trained(values, index.Shape))] };
    }

    /// <summary>
    /// Returns a form of trained entries with room for frozen ones, which have left the mask and keep their change.
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="form">The form of the trained entries.</param>
    /// <param name="room">The number of frozen entries, 8 bytes each.</param>
    public static AdapterForm WithKept(AdapterBuilder layer, AdapterForm form, long room)
    {
        Factor index = layer.Places(KeptPlaces, Math.Min(room, (long)layer.Out * layer.In));
        return form with
        {
            Entries = [form.Entries[0], new SparseChange(index, layer.Frozen(KeptValues, index.Shape))],
        };
    }

    /// <summary>Returns the form of the entries that were kept of a layer; null: it has its whole weight.</summary>
    /// <param name="layer">The layer, of a method with the setting <see cref="ChosenEntries.Kept"/>.</param>
    public static AdapterForm? KeptForm(AdapterBuilder layer) =>
        layer.Setting(ChosenEntries.Kept.Name) is > 0 and var count ? Form(layer, (long)count) : null;

    /// <summary>Refuses to begin with entries, of which nobody has chosen any.</summary>
    /// <exception cref="InputException">The setting <see cref="ChosenEntries.Kept"/> is given.</exception>
    public static void RequireWhole(AdapterMethod method, IReadOnlyList<AdapterStart> starts)
    {
        if (starts.Any(start => start.Options.Setting(method, ChosenEntries.Kept.Name) > 0))
            throw new InputException($"setting {ChosenEntries.Kept.Name}: training sets it, expected none");
    }

    /// <summary>Returns whether the mask of a layer has room to change.</summary>
    public static bool CanMove(AdaptedModule module) => module.Form.Entries.Count > 1;

    /// <summary>
    /// Moves the mask of a layer towards other places. An entry that leaves is frozen with its change, one that comes
    /// back takes its change along, and those that stay keep their state in the optimizer. Entries are exchanged in
    /// ascending order until there is no room left for those that leave. Waits for the device.
    /// </summary>
    /// <param name="step">The step after whose update the mask changes.</param>
    /// <param name="module">The layer, which <see cref="CanMove"/>.</param>
    /// <param name="wanted">The places to train, ascending, as many as the mask has.</param>
    public static void Move(AdapterStep step, AdaptedModule module, int[] wanted)
    {
        (Mask trained, Mask kept) = (new Mask(module.Form.Entries[0]), new Mask(module.Form.Entries[1]));
        HashSet<int> stay = [.. wanted.Intersect(trained.Places)];
        Queue<int> entering = new(wanted.Where(place => !stay.Contains(place)));
        Dictionary<int, int> slots = kept.Slots();
        Stack<int> free = kept.Free();
        (int[] places, float[] values, int[] from) = ([.. trained.Places], [.. trained.Values], Identity(trained));
        for (int k = 0; k < places.Length && entering.Count > 0; k++)
        {
            if (stay.Contains(places[k]))
                continue;
            bool returns = slots.TryGetValue(entering.Peek(), out int slot);
            if (!returns && !free.TryPop(out slot))
                break;
            float value = returns ? kept.Values[slot] : 0;
            (kept.Places[slot], kept.Values[slot]) = (places[k], values[k]);
            (places[k], values[k], from[k]) = (entering.Dequeue(), value, -1);
        }

        kept.Write(kept.Places, kept.Values);
        Write(step, trained, places, values, from);
    }

    /// <summary>
    /// Freezes entries of a layer with the change that they have, as long as there is room. Their places in the mask
    /// are not in use afterwards. Waits for the device.
    /// </summary>
    /// <param name="step">The step after whose update the mask changes.</param>
    /// <param name="module">The layer, which <see cref="CanMove"/>.</param>
    /// <param name="leaves">Returns whether an entry leaves, by its index in the mask.</param>
    public static void Retire(AdapterStep step, AdaptedModule module, Func<int, bool> leaves)
    {
        (Mask trained, Mask kept) = (new Mask(module.Form.Entries[0]), new Mask(module.Form.Entries[1]));
        (int[] places, float[] values, int[] from) = ([.. trained.Places], [.. trained.Values], Identity(trained));
        Stack<int> free = kept.Free();
        for (int k = 0; k < places.Length; k++)
        {
            if (places[k] < 0 || !leaves(k))
                continue;
            if (!free.TryPop(out int slot))
                break;
            (kept.Places[slot], kept.Values[slot]) = (places[k], values[k]);
            (places[k], values[k], from[k]) = (-1, 0, -1);
        }

        kept.Write(kept.Places, kept.Values);
        Write(step, trained, places, values, from);
    }

    /// <summary>
    /// Gives entries of a mask that are not in use places, with a change of zero. Those in use keep their values and
    /// their state in the optimizer. Waits for the device.
    /// </summary>
    /// <param name="step">The step in which the mask changes.</param>
    /// <param name="module">The layer.</param>
    /// <param name="wanted">The places; those that the mask has already are left out.</param>
    public static void Open(AdapterStep step, AdaptedModule module, int[] wanted)
    {
        Mask trained = new(module.Form.Entries[0]);
        (int[] places, float[] values, int[] from) = ([.. trained.Places], [.. trained.Values], Identity(trained));
        foreach ((int place, int slot) in wanted.Except(trained.Places).Zip(trained.Free()))
            (places[slot], values[slot], from[slot]) = (place, 0, -1);
        Write(step, trained, places, values, from);
    }

    /// <summary>Writes a mask, ascending, which the kernels' caches like best.</summary>
    private static void Write(AdapterStep step, Mask trained, int[] places, float[] values, int[] from)
    {
        int[] order = [.. Enumerable.Range(0, places.Length).OrderBy(k => places[k])];
        trained.Write([.. order.Select(k => places[k])], [.. order.Select(k => values[k])]);
        step.Parameters.NotifyMoved(trained.Parameter, [.. order.Select(k => from[k])]);
    }

    private static int[] Identity(Mask mask) => [.. Enumerable.Range(0, mask.Places.Length)];

    /// <summary>Returns the number of scalars of a LoRA on a layer, r (out + in).</summary>
    public static long LoraBudget(ModuleShape module, int rank) => rank * ((long)module.Out + module.In);

    /// <summary>The host's copy of a sparse change whose values are a factor.</summary>
    private sealed class Mask(SparseChange change)
    {
        public Parameter Parameter { get; } = ((Factor)change.Values).Parameter;

        public int[] Places { get; } = change.Index.ToInt32Array();

        public float[] Values { get; } = ((Factor)change.Values).Parameter.Master.ToArray();

        /// <summary>Returns the index of each place that is in use.</summary>
        public Dictionary<int, int> Slots() =>
            Enumerable.Range(0, Places.Length).Where(k => Places[k] >= 0).ToDictionary(k => Places[k]);

        /// <summary>Returns the indices that are not in use, the first on top.</summary>
        public Stack<int> Free() => new(Enumerable.Range(0, Places.Length).Where(k => Places[k] < 0).Reverse());

        public void Write(int[] places, float[] values)
        {
            change.Index.CopyFrom(places);
            Parameter.Master.CopyFrom(values);
        }
    }
}
