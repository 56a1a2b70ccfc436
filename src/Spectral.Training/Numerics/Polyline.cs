namespace Spectral.Training.Numerics;

/// <summary>A line through points in a space of any dimension, made simpler.</summary>
internal static class Polyline
{
    /// <summary>
    /// Keeps the points of a polyline that matter most to its shape: its ends, and then again and again the point that
    /// is farthest from the segment between the kept points around it (Ramer, 1972; Douglas and Peucker, 1973). With
    /// n points kept, the result is that of the algorithm with a tolerance which lets n points pass.
    /// </summary>
    /// <param name="points">The points, in order.</param>
    /// <param name="count">How many to keep. One point is the last; two are the ends.</param>
    /// <returns>
    /// The indices of the kept points, each with its distance from the segment when it was kept; infinite for ends.
    /// </returns>
    public static IReadOnlyDictionary<int, double> Simplify(IReadOnlyList<double[]> points, int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        int last = points.Count - 1;
        var kept = new Dictionary<int, double> { [last] = double.PositiveInfinity };
        if (count == 1 || last == 0)
            return kept;
        kept[0] = double.PositiveInfinity;
        // The farthest first; of equally far ones the one that comes first in the line.
        var waiting = new PriorityQueue<Section, (double, int)>();
        Add(0, last);
        while (kept.Count < count && waiting.TryDequeue(out Section section, out _))
        {
            kept[section.Farthest] = section.Distance;
            Add(section.First, section.Farthest);
            Add(section.Farthest, section.Last);
        }
        return kept;

        void Add(int first, int end)
        {
            if (end - first < 2)
                return;
            (int farthest, double distance) = (first + 1, -1.0);
            for (int i = first + 1; i < end; i++)
            {
                double found = Distance(points[i], points[first], points[end]);
                if (found > distance)
                    (farthest, distance) = (i, found);
            }
            waiting.Enqueue(new Section(first, end, farthest, distance), (-distance, farthest));
        }
    }

    /// <summary>Returns the distance of a point from the segment between two others.</summary>
    private static double Distance(double[] point, double[] from, double[] to)
    {
        (double along, double length) = (0, 0);
        for (int i = 0; i < point.Length; i++)
        {
            along += (point[i] - from[i]) * (to[i] - from[i]);
            length += (to[i] - from[i]) * (to[i] - from[i]);
        }
        double share = length == 0 ? 0 : Math.Clamp(along / length, 0, 1);
        double squares = 0;
        for (int i = 0; i < point.Length; i++)
        {
            double offset = point[i] - (from[i] + (share * (to[i] - from[i])));
            squares += offset * offset;
        }
        return Math.Sqrt(squares);
    }

    private readonly record struct Section(int First, int Last, int Farthest, double Distance);
}
